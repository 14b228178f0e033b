using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>What to do about operators that are not differentiated for a reason, beyond freezing what lies in front of
/// them.</summary>
internal static class WaysOut
{
    private const string Float = "It computes with integers: export the float model, train that and quantize it again.";
    private const string Generation = "It is a generation loop: train the model that it runs at every step.";
    private const string Layout =
        "It belongs to one provider's memory layout: use the original model, or one saved at the extended optimization level at most.";

    private static readonly Dictionary<string, string> Table = new(StringComparer.Ordinal)
    {
        ["MatMulInteger"] = Float,
        ["ConvInteger"] = Float,
        ["com.microsoft.MatMulInteger16"] = Float,
        ["com.microsoft.QGemm"] = Float,
        ["com.microsoft.QAttention"] = Float,
        ["com.microsoft.QEmbedLayerNormalization"] = Float,
        ["com.microsoft.QMoE"] = Float,
        ["com.microsoft.DynamicQuantizeLSTM"] = Float,
        ["com.microsoft.NhwcMaxPool"] = Float,
        ["com.microsoft.BeamSearch"] = Generation,
        ["com.microsoft.GreedySearch"] = Generation,
        ["com.microsoft.Sampling"] = Generation,
        ["com.microsoft.WhisperBeamSearch"] = Generation,
        ["ImageDecoder"] = "It reads files: decode images before the model.",
        ["BitCast"] = "It reads the bits of numbers as other numbers, which has no derivative: use Cast.",
    };

    public static string? Of(Node node) => Table.TryGetValue(node.QualifiedType, out string? text) ? text
        : node.OpType.StartsWith("QLinear", StringComparison.Ordinal) || node.OpType.StartsWith("QOrdered", StringComparison.Ordinal)
        ? Float
        : node.Domain is "com.microsoft.nchwc" or "com.ms.internal.nhwc" ? Layout
        : node.Domain == "ai.onnx.ml"
        ? "Classical models are not trained by gradients: freeze what lies in front, or make its input the output of the model."
        : node.OpType.Contains("Sequence", StringComparison.Ordinal) || node.OpType.StartsWith("Optional", StringComparison.Ordinal)
        ? "Sequences are differentiated where their lengths and positions are constants: "
        + "export with constant ones, or write a Concat or Split of tensors."
        : null;
}
