"""The image of one app: built from a context that the command side prepared. Paths only."""

from __future__ import annotations

from dataclasses import dataclass

from constructs import Construct

from constructs_lib.cdk import Image, ImageBuild, ImageBuildSecrets, TerraformResourceLifecycle
from constructs_lib.labels import labels
from iac_wrapper.model.labels import TREE, of_dockerfile


@dataclass(frozen=True)
class AppImageProps:
    """What the image is made of.

    `tag` is the whole reference ``iac/<project>-<service>:<hash>``; `context` and `build_secrets`
    are directories on the host; `tree` is the hash of the source. `dockerfile` is the repository's
    own, a path in the source, or empty where this tool writes one; then `context` has it beside the
    source. `pulled` images are on the engine under that reference.
    """

    project: str
    service: str
    tag: str
    tree: str
    context: str
    build_secrets: str
    dockerfile: str = ""
    pulled: bool = False


class AppImage(Image):
    """A docker_image. The tag is a hash of everything inside, so only a new tag is a new build."""

    def __init__(self, scope: Construct, id_: str, props: AppImageProps) -> None:
        super().__init__(
            scope,
            id_,
            name=props.tag,
            # The last versions stay, so that going back needs no build; the command side prunes.
            keep_locally=True,
            triggers={"image": props.tag},
            build_attribute=None if props.pulled else _build(props),
            lifecycle=TerraformResourceLifecycle(
                # The container moves from the old image to the new one; then the old one can go.
                create_before_destroy=True,
                # A build block that differs under the same tag (the project folder moved, a state
                # of an older version) means the same image. Replacing it would end with the removal
                # of the tag, which the new one has as well. A new tag takes the new block.
                ignore_changes=["build"],
            ),
        )


def _build(props: AppImageProps) -> ImageBuild:
    context = f"{props.context}/app" if props.dockerfile else props.context
    own = of_dockerfile(props.project, props.service, props.tag, props.tree)
    ours = {**labels(props.project, props.service, "app"), TREE: props.tree}
    return ImageBuild(
        context=context,
        # With a builder the official provider looks for a relative one in the folder that
        # Terraform runs in, the embedded one in the context: absolute is right for both.
        dockerfile=f"{context}/{props.dockerfile or 'Dockerfile'}",
        # Without a builder the official provider takes the classic one, which has neither
        # secrets nor cache mounts; "default" is the engine's own BuildKit.
        builder="default",
        # Only what the tag stands for: a label that changes alone would not be rebuilt.
        label=own if props.dockerfile else ours,
        secrets=[
            ImageBuildSecrets(id="ca", src=f"{props.build_secrets}/ca"),
            ImageBuildSecrets(id="env", src=f"{props.build_secrets}/env"),
        ],
    )
