"""An image asset, its SOCI index, and a Fargate service that is created only when the index is there.

`-c image=DIRECTORY` takes the Dockerfile from there; `-c builder=function` builds the index in a Lambda function instead of in CodeBuild.
"""

from pathlib import Path

from aws_cdk import App, CfnOutput, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from soci_index_build import SociBuilder, SociIndexV2Build

app = App()
stack = Stack(app, "SociIndexExample")

image = ecr_assets.DockerImageAsset(
    stack,
    "Image",
    directory=app.node.try_get_context("image") or str(Path(__file__).parent.parent / "app"),
    platform=ecr_assets.Platform.LINUX_AMD64,
)
in_function = app.node.try_get_context("builder") == "function"
builder = SociBuilder.FUNCTION if in_function else SociBuilder.CODE_BUILD
index = SociIndexV2Build.from_docker_image_asset(stack, "Index", image, builder=builder)

# Public subnets and no NAT gateway: the task reaches the registry by its own address.
vpc = ec2.Vpc(
    stack,
    "Vpc",
    max_azs=2,
    nat_gateways=0,
    subnet_configuration=[
        ec2.SubnetConfiguration(name="public", subnet_type=ec2.SubnetType.PUBLIC)
    ],
)
task = ecs.FargateTaskDefinition(stack, "Task", cpu=256, memory_limit_mib=512)
task.add_container("app", image=index.to_ecs_docker_image_code())
ecs.FargateService(
    stack,
    "Service",
    cluster=ecs.Cluster(stack, "Cluster", vpc=vpc),
    task_definition=task,
    desired_count=1,
    assign_public_ip=True,
)

CfnOutput(stack, "ImageDigest", value=index.output_image_digest)
CfnOutput(stack, "ImageTag", value=index.output_image_tag)

app.synth()
