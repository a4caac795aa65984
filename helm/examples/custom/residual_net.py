"""A network of your own: one residual block. Written in `Ops`, it runs in numpy, torch and ONNX alike."""

from rl_platform.models.net import Param


class ResidualNet:
    portable = True

    def __init__(self, inputs, heads, width):
        self.heads, self.state = heads, {}
        self.params = [
            Param("in/w", (inputs, width), "orthogonal", 2**0.5),
            Param("in/b", (width,)),
            Param("block/w", (width, width), "orthogonal", 1.0),
            Param("block/b", (width,)),
        ]
        for name, size in heads.items():
            gain = 0.01 if name == "policy" else 1.0
            self.params += [
                Param(f"{name}/w", (width, size), "orthogonal", gain),
                Param(f"{name}/b", (size,)),
            ]

    def forward(self, ops, params, obs, state, first):
        x = ops.activation("tanh", ops.linear(obs["obs"], params["in/w"], params["in/b"]))
        x = x + ops.activation("tanh", ops.linear(x, params["block/w"], params["block/b"]))
        return {name: ops.linear(x, params[f"{name}/w"], params[f"{name}/b"]) for name in self.heads}, state


def build(spaces, heads, width=64):
    """Called with the spaces of the policy and the heads that the algorithm needs (name → size)."""
    return ResidualNet(spaces.obs["obs"].shape[0], heads, width)
