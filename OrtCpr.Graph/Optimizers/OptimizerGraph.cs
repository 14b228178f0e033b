using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Optimizers;

/// <summary>An optimizer as ONNX graphs: one step, and what is run once before the first.</summary>
internal sealed record OptimizerGraph(OnnxModel Model, OnnxModel? Initialization, OptimizerOptions Options, ElementType Type);
