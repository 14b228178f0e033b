using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Tests.Text;

/// <summary>Small encoders: embeddings of tokens, types and positions, and the mean of what is not masked.</summary>
internal static class TextModels
{
    // input_ids, attention_mask, token_type_ids [batch, sequence] -> logits [batch, classes].
    public static string Encoder(string path, int vocabulary = 20, int positions = 12, int classes = 3, long? length = null,
        bool counted = false, IReadOnlyList<string>? names = null)
    {
        OnnxModel model = OnnxModel.Create("encoder", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Dim sequence = length is long n ? n : (Dim)SymbolicInt.Symbol("sequence");
        Value[] inputs = [.. new[] { "input_ids", "attention_mask", "token_type_ids" }
            .Select(i => graph.AddInput(i, ElementType.Int64, new Shape(SymbolicInt.Symbol("batch"), sequence)))];
        Term tokens = g.Op("Gather", [TestModels.Weight(graph, "tokens", vocabulary, 4), inputs[0]]);
        Term types = g.Op("Gather", [TestModels.Weight(graph, "types", 2, 4), inputs[2]]);
        Value places = counted
            // RoBERTa: counted along what is no padding, behind the padding's id.
            ? g.Op("Add", [g.Op("Mul", [g.Op("CumSum", [inputs[1], g.Int(1)]), inputs[1]]), g.Ints(1)])
            : g.Op("Slice", [graph.AddInitializer("position_ids", TensorData.From<long>([.. Enumerable.Range(0, positions)
                .Select(i => (long)i)], 1, positions)), g.Ints(0), g.Op("Slice", [g.Op("Shape", [inputs[0]]), g.Ints(1), g.Ints(2)]),
                    g.Ints(1)]);
        Term all = g.Op("Add", [g.Op("Add", [tokens, types]), g.Op("Gather",
            [TestModels.Weight(graph, "positions", positions, 4), places])]);
        Term mask = g.Op("Unsqueeze", [g.Op("Cast", [inputs[1]], ("to", 1L)), g.Ints(2)]);
        Term sum = g.Op("ReduceSum", [g.Op("Mul", [all, mask]), g.Ints(1)], ("keepdims", 0L));
        Term mean = g.Op("Div", [sum, g.Op("ReduceSum", [mask, g.Ints(1)], ("keepdims", 0L))]);
        Value logits = g.Op("Gemm", [mean, TestModels.Weight(graph, "head.weight", classes, 4),
            TestModels.Weight(graph, "head.bias", classes)],
            ("transB", 1L));
        graph.Outputs.Add(g.Named(logits, "logits"));
        File.WriteAllBytes(path, GraphWriter.ToBytes(model));
        if (names is not null) HeadOf(path, names);
        return path;
    }

    private static void HeadOf(string path, IReadOnlyList<string> names) => OrtCpr.Graph.Heads.ModelHead.Replace(path, path, null,
        new OrtCpr.Graph.Heads.DenseHead { Classes = names.Count, ClassNames = [.. names] });
}
