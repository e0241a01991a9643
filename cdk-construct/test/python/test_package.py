"""The package as Python users have it: every option, refusals, and the example, which gives the same template in both languages."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from aws_cdk import App, Duration, RemovalPolicy, Size, Stack
from aws_cdk.assertions import Template
from aws_cdk.aws_codebuild import ComputeType
from aws_cdk.aws_ecr import Repository
from aws_cdk.aws_ecr_assets import DockerImageAsset, Platform
from aws_cdk.aws_ecs import ContainerImage, FargateTaskDefinition
from soci_index_build import (
    SociBuilder,
    SociImage,
    SociIndexBuild,
    SociIndexBuildDefaults,
    SociIndexOnPush,
    SociIndexV2Build,
    SociIndexVersion,
    SociStartTimes,
    WhenNotIndexed,
)

ROOT = Path(__file__).parent.parent.parent
INDEX = "Custom::SociIndexBuild"


class Constructs(unittest.TestCase):
    def setUp(self):
        self.stack = Stack(App(), "Stack")
        self.repository = Repository.from_repository_name(self.stack, "Repository", "app")

    def test_version_2_takes_every_option(self):
        SociIndexV2Build(
            self.stack,
            "Index",
            repository=self.repository,
            input_image_tag="v1",
            output_image_tag="fast",
            platforms=[Platform.LINUX_ARM64],
            min_layer_size=Size.mebibytes(20),
            span_size=Size.mebibytes(1),
            prefetch_files=["/app/main.py"],
            when_too_small=WhenNotIndexed.FAIL,
            when_unsupported=WhenNotIndexed.USE_ORIGINAL,
            removal_policy=RemovalPolicy.DESTROY,
            compute_type=ComputeType.MEDIUM,
            timeout=Duration.minutes(20),
            queued_timeout=Duration.minutes(10),
        )

        template = Template.from_stack(self.stack)
        template.resource_count_is(INDEX, 1)
        template.has_resource_properties(
            INDEX,
            {
                "IndexVersion": "v2",
                "InputImageTag": "v1",
                "OutputImageTag": "fast",
                "Platforms": ["linux/arm64"],
                "MinLayerSize": "20971520",
                "SpanSize": "1048576",
                "PrefetchFiles": ["/app/main.py"],
                "WhenTooSmall": "fail",
                "WhenUnsupported": "use-original",
                "RemovalPolicy": "destroy",
            },
        )

    def test_pushes_are_indexed_and_starts_are_measured(self):
        indexes = SociIndexOnPush(
            self.stack,
            "Indexes",
            filters=["team/*:v*"],
            repositories=[self.repository],
            version=SociIndexVersion.V2,
            output_suffix=".fast",
            min_layer_size=Size.mebibytes(20),
            memory_size=3008,
            max_concurrency=10,
            retry_attempts=1,
            max_event_age=Duration.hours(1),
            dashboard=True,
        )
        SociStartTimes(self.stack, "StartTimes", repositories=[self.repository])

        self.assertIsNotNone(indexes.queue.queue_url)
        template = Template.from_stack(self.stack)
        template.has_resource_properties(
            "AWS::Lambda::Function",
            {
                "Environment": {
                    "Variables": {
                        "SOCI_INDEX_BUILD_FUNCTION": "on-push",
                        "SOCI_ON_PUSH": json.dumps(
                            {
                                "Filters": ["team/*:v*", "app"],
                                "OutputSuffix": ".fast",
                                "IndexVersion": "v2",
                                "MinLayerSize": "20971520",
                            },
                            separators=(",", ":"),
                        ),
                    }
                },
                "MemorySize": 3008,
                "ReservedConcurrentExecutions": 10,
            },
        )
        template.resource_count_is("AWS::Events::Rule", 2)

    def test_a_push_without_a_filter_is_refused(self):
        with self.assertRaisesRegex(Exception, "'filters' or 'repositories' is required"):
            SociIndexOnPush(self.stack, "Indexes")

    def test_a_container_takes_an_image_with_its_index(self):
        directory = str(ROOT / "test" / "programs" / "image")
        asset = DockerImageAsset(self.stack, "Image", directory=directory)
        images = [
            SociImage.from_asset(directory, platform=Platform.LINUX_AMD64, min_layer_size=Size.mebibytes(20)),
            SociImage.from_asset(directory),
            SociImage.from_docker_image_asset(asset),
            SociImage.from_ecr_repository(self.repository, "v1", output_image_tag="fast"),
        ]
        task_definition = FargateTaskDefinition(self.stack, "Task")
        for at, image in enumerate(images):
            self.assertIsInstance(image, ContainerImage)
            task_definition.add_container(f"app-{at}", image=image)

        template = Template.from_stack(self.stack)
        template.resource_count_is(INDEX, 3)
        template.has_resource_properties(INDEX, {"MinLayerSize": "20971520"})
        template.has_resource_properties(INDEX, {"InputImageTag": "v1", "OutputImageTag": "fast"})

    def test_indexes_are_built_in_a_function(self):
        builder = SociBuilder.FUNCTION
        SociIndexBuildDefaults.of(self.stack).set(builder=builder)
        SociIndexBuild(self.stack, "V1", repository=self.repository, image_tag="v1", memory_size=4096)
        image = SociImage.from_ecr_repository(self.repository, "v1", builder=builder, timeout=Duration.minutes(5))
        FargateTaskDefinition(self.stack, "Task").add_container("app", image=image)

        template = Template.from_stack(self.stack)
        template.resource_count_is("AWS::Lambda::Function", 3)
        template.resource_count_is("AWS::CodeBuild::Project", 0)
        template.has_resource_properties("AWS::Lambda::Function", {"MemorySize": 4096, "Timeout": 900})
        template.has_resource_properties("AWS::Lambda::Function", {"MemorySize": 2048, "Timeout": 360})

    def test_version_1_and_version_2_share_the_function(self):
        SociIndexBuild(self.stack, "V1", repository=self.repository, image_tag="v1")
        SociIndexV2Build(self.stack, "V2", repository=self.repository, input_image_tag="v1")

        template = Template.from_stack(self.stack)
        template.resource_count_is(INDEX, 2)
        template.resource_count_is("AWS::Lambda::Function", 1)

    def test_a_refusal_quotes_the_value(self):
        with self.assertRaisesRegex(Exception, 'inputImageTag.*got "a/b"'):
            SociIndexV2Build(self.stack, "Index", repository=self.repository, input_image_tag="a/b")


class Example(unittest.TestCase):
    def test_is_the_same_in_both_languages(self):
        for image in (None, str(ROOT / "test" / "programs" / "image")):
            with self.subTest(image=image):
                python = synthesize("python", [sys.executable, "app.py"], image)
                typescript = synthesize("typescript", ["node", "--import", "tsx", "app.ts"], image)
                self.assertEqual(python, typescript)
                self.assertIn(INDEX, [resource["Type"] for resource in python["Resources"].values()])


def synthesize(language, command, image):
    """The template that the example gives, run as the CLI runs it."""
    with tempfile.TemporaryDirectory() as out:
        environment = {
            **os.environ,
            "CDK_OUTDIR": out,
            "CDK_CONTEXT_JSON": json.dumps({"image": image} if image else {}),
        }
        subprocess.run(command, cwd=ROOT / "example" / language, env=environment, check=True)
        return json.loads(Path(out, "SociIndexExample.template.json").read_text(encoding="utf-8"))


if __name__ == "__main__":
    unittest.main()
