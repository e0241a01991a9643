//! What an operator does at a queue of failed events: looks, and turns the redrive on and off. In: names. Out: messages and states.

use serde_json::{Value, json};

use super::{Emulated, Error};
use crate::account::{ACCOUNT_ID, REGION};

const SQS: &str = "AmazonSQS";
/// Longer than anybody looks.
const HIDDEN_SECONDS: u32 = 3_600;

impl Emulated {
    /// Bodies of all messages in a queue that nobody is working on; they stay there.
    ///
    /// # Errors
    /// There is no such queue.
    pub async fn queued(&self, name: &str) -> Result<Vec<Value>, Error> {
        let url = json!({ "QueueName": name });
        let found = self.call("sqs", SQS, "GetQueueUrl", &url).await?;
        let url = &found["QueueUrl"];
        let mut bodies = Vec::new();
        let mut handles = Vec::new();
        loop {
            // Each is hidden until all are read.
            let body = json!({ "QueueUrl": url, "MaxNumberOfMessages": 10, "VisibilityTimeout": HIDDEN_SECONDS });
            let found = self.call("sqs", SQS, "ReceiveMessage", &body).await?;
            let messages = found["Messages"].as_array().cloned().unwrap_or_default();
            if messages.is_empty() {
                break;
            }
            for message in messages {
                let body = message["Body"].as_str().unwrap_or_default();
                bodies.push(serde_json::from_str(body).unwrap_or_else(|_| body.into()));
                handles.push(message["ReceiptHandle"].clone());
            }
        }
        for handle in handles {
            let body = json!({ "QueueUrl": url, "ReceiptHandle": handle, "VisibilityTimeout": 0 });
            let seen = self.call("sqs", SQS, "ChangeMessageVisibility", &body);
            seen.await?;
        }
        Ok(bodies)
    }

    /// How many messages a queue has: that wait, and that somebody is working on.
    ///
    /// # Errors
    /// There is no such queue.
    pub async fn queue_counts(&self, name: &str) -> Result<(u64, u64), Error> {
        let url = json!({ "QueueName": name });
        let found = self.call("sqs", SQS, "GetQueueUrl", &url).await?;
        let names = [
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
        ];
        let body = json!({ "QueueUrl": found["QueueUrl"], "AttributeNames": names });
        let found = self.call("sqs", SQS, "GetQueueAttributes", &body).await?;
        let [waiting, taken] = names.map(|name| {
            let count = found["Attributes"][name].as_str();
            count
                .and_then(|count| count.parse().ok())
                .unwrap_or_default()
        });
        Ok((waiting, taken))
    }

    /// Id and state of a function's event source mappings.
    ///
    /// # Errors
    /// The emulator does not answer.
    pub async fn mappings(&self, function: &str) -> Result<Vec<(String, String)>, Error> {
        let path = format!("2015-03-31/event-source-mappings/?FunctionName={function}");
        let found = self.get("lambda", &path).await?.unwrap_or_default();
        let found: Value = serde_json::from_slice(&found).map_err(Error::refused(path))?;
        let mappings = found["EventSourceMappings"].as_array();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let row = |mapping: &Value| (text(&mapping["UUID"]), text(&mapping["State"]));
        Ok(mappings.into_iter().flatten().map(row).collect())
    }

    /// Enables or disables an event source mapping: `aws lambda update-event-source-mapping --uuid … --enabled`.
    ///
    /// # Errors
    /// There is no such mapping.
    pub async fn enable_mapping(&self, id: &str, enabled: bool) -> Result<(), Error> {
        let path = format!("2015-03-31/event-source-mappings/{id}");
        let body = json!({ "Enabled": enabled }).to_string();
        self.put("lambda", &path, body).await
    }

    /// A queue's ARN.
    pub fn queue_arn(name: &str) -> String {
        format!("arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{name}")
    }
}
