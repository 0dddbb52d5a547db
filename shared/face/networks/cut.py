"""Cuts the attention model into four networks that do not need MediaPipe's custom operations.

The model (`face_landmark_with_attention.tflite`; Grishchenko et al. 2020, arXiv 2006.10962) finds 468 points of the
whole face, samples its features at lips and eyes, and refines each of these by a further network. The sampling and the
transformation of the results use custom operations: Landmarks2TransformMatrix, TransformTensorBilinear and
TransformLandmarks. Each part between them has standard operations alone and becomes a file; `attention.py` replaces the
custom operations. The format is TensorFlow Lite's published FlatBuffers schema.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from shared.face.networks.files import NetworkName

FILE_IDENTIFIER = b"TFL3"
SAMPLE, MATRIX, BACK = b"TransformTensorBilinear", b"Landmarks2TransformMatrix", b"TransformLandmarks"
WHOLE_FACE = ("output_mesh_identity", "conv_faceflag")  # outputs of the trunk besides its features
# Landmarks2TransformMatrix rotates a region by the line between two points; the first point identifies the region.
REGION_BY_POINT: dict[int, NetworkName] = {61: "lips", 33: "right_eye", 362: "left_eye"}


def cut_attention(model: bytes) -> dict[NetworkName, bytes]:
    """Cut the attention model's file into the files of four networks.

    trunk: (1, 192, 192, 3) image -> (1, 1, 1, 1404) points, (1, 1, 1, 1) presence, (1, 48, 48, 32) features. lips: (1,
    16, 16, 32) features -> (1, 80, 2) points. right_eye, left_eye: the same -> (1, 71, 2) points and (1, 5, 2) of the
    iris. Points are in pixels of the image, and in quarters of a pixel of the 16x16 features.
    """
    graph = _Graph(model)
    samplers = graph.custom(SAMPLE)
    features = int(samplers[0].inputs[0])
    outputs = [*(graph.tensor(name) for name in WHOLE_FACE), features]
    parts: dict[NetworkName, bytes] = {"trunk": graph.part([int(graph.subgraph.inputs[0])], outputs)}
    for sampler in samplers:
        sampled = int(sampler.outputs[0])
        reached = graph.reached_from(sampled)
        ends = [int(each.inputs[0]) for each in graph.custom(BACK) if int(each.inputs[0]) in reached]
        parts[graph.region(int(sampler.inputs[1]))] = graph.part([sampled], ends)
    return parts


class _Graph:
    """A model's only subgraph, as objects of the FlatBuffers schema."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._model = _parsed(content)
        self.subgraph = self._model.subgraphs[0]
        self._producer = {int(t): i for i, each in enumerate(self.subgraph.operators) for t in each.outputs}

    def _custom_name(self, operator: Any) -> bytes:
        return self._model.operatorCodes[operator.opcodeIndex].customCode or b""

    def custom(self, name: bytes) -> list[Any]:
        """The operators of this custom name, in order."""
        return [each for each in self.subgraph.operators if self._custom_name(each) == name]

    def tensor(self, name: str) -> int:
        """Index of the tensor of this name."""
        return next(i for i, each in enumerate(self.subgraph.tensors) if each.name.decode() == name)

    def region(self, matrix: int) -> NetworkName:
        """Return the region to which the matrix in this tensor belongs."""
        from flatbuffers import flexbuffers

        maker = self.subgraph.operators[self._producer[matrix]]
        assert self._custom_name(maker) == MATRIX
        options = flexbuffers.Loads(bytearray(bytes(maker.customOptions)))
        return REGION_BY_POINT[options["left_rotation_idx"]]

    def reached_from(self, tensor: int) -> set[int]:
        """Return this tensor and all tensors that standard operators compute from it.

        Operators are stored in execution order.
        """
        reached = {tensor}
        for each in self.subgraph.operators:
            if not self._custom_name(each) and not reached.isdisjoint(map(int, each.inputs)):
                reached.update(map(int, each.outputs))
        return reached

    def _needed(self, inputs: Iterable[int], outputs: Iterable[int]) -> list[int]:
        """The operators between these tensors, in execution order."""
        known, wanted, needed = set(inputs), list(outputs), set()
        while wanted:
            tensor = wanted.pop()
            producer = self._producer.get(tensor)
            if tensor in known or producer is None or producer in needed:
                continue  # an input, a constant, or already visited
            needed.add(producer)
            wanted += [int(t) for t in self.subgraph.operators[producer].inputs if t >= 0]
        return sorted(needed)

    def part(self, inputs: list[int], outputs: list[int]) -> bytes:
        """Return the model between these tensors as a file, with only the tensors, buffers and codes that it uses."""
        import flatbuffers

        model = _parsed(self._content)
        graph = model.subgraphs[0]
        graph.operators = [graph.operators[i] for i in self._needed(inputs, outputs)]
        used = {int(t) for each in graph.operators for t in (*each.inputs, *each.outputs) if t >= 0}
        kept = sorted(used | set(inputs) | set(outputs))
        number = {-1: -1} | {tensor: i for i, tensor in enumerate(kept)}  # -1: an optional input that is absent
        graph.tensors = [graph.tensors[t] for t in kept]
        graph.inputs, graph.outputs = _numbered(inputs, number), _numbered(outputs, number)
        for each in graph.operators:
            each.inputs, each.outputs = _numbered(each.inputs, number), _numbered(each.outputs, number)
        buffers = [0, *sorted({each.buffer for each in graph.tensors} - {0})]  # the first one is empty by convention
        for each in graph.tensors:
            each.buffer = buffers.index(each.buffer)
        model.buffers = [model.buffers[i] for i in buffers]
        codes = sorted({each.opcodeIndex for each in graph.operators})
        for each in graph.operators:
            each.opcodeIndex = codes.index(each.opcodeIndex)
        model.operatorCodes = [model.operatorCodes[i] for i in codes]
        model.metadata = model.metadataBuffer = model.signatureDefs = None
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
        return bytes(builder.Output())


def _numbered(tensors: Iterable[int], number: dict[int, int]) -> Any:
    return np.array([number[int(t)] for t in tensors], np.int32)


def _parsed(content: bytes) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(content), 0))
