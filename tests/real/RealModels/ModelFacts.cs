using System.Globalization;
using OrtCpr.Graph;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;

namespace RealModels;

/// <summary>What a file says of itself.</summary>
internal sealed record ModelFacts(string Producer, long Opset, string Places, string Output, string Scores)
{
    public static ModelFacts Read(string path)
    {
        using ModelFile file = ModelFile.Load(path);
        string[] kinds = [.. file.Places.All.Where(p => p.Type.IsFloating() && p.Dimensions.Aggregate(1L, (n, d) => n * d) > 1)
            .Select(p => p.Name.Contains('/', StringComparison.Ordinal) && p.Where.Contains("_branch", StringComparison.Ordinal) ? "bodies"
                : p.IsConstant ? "Constant nodes" : "initializers").Distinct()];
        ValueInfoProto output = file.Proto.Graph.Output.FirstOrDefault(o => o.Type?.TensorType?.ElemType == 1)
            ?? file.Proto.Graph.Output[0];
        long? opset = file.Proto.OpsetImport.FirstOrDefault(o => o.Domain is "" or "ai.onnx")?.Version;
        return new ModelFacts(file.Proto.ProducerName, opset ?? 1,
            string.Join(", ", kinds), output.Name, InFrontOf(file.Proto.Graph, output.Name));
    }

    // What probabilities are made of: drawn data leave them at their ends, where nothing has a slope.
    private static string InFrontOf(GraphProto graph, string output) =>
        graph.Node.FirstOrDefault(n => n.Output.Contains(output)) is { OpType: "Sigmoid" or "Softmax" or "LogSoftmax" } node
            ? node.Input[0] : output;

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Producer} {Opset} {Places} {Output}");
}
