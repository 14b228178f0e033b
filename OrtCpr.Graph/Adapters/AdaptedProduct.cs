using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Graph.Adapters;

// A product x·W whose weight an adapter can stand beside. Outputs-first: the weight is stored as [outputs, inputs].
internal sealed record AdaptedProduct(NodeProto Node, string Weight, long Inputs, long Outputs, ElementType Type, bool OutputsFirst,
    bool IsQuantised, bool TransposedInput, double Factor)
{
    // Of a graph, without its bodies. Weights that anything else reads are left out: a merged weight would change that too.
    public static IEnumerable<AdaptedProduct> All(ModelProto model)
    {
        GraphProto graph = model.Graph;
        TensorPlaces weights = TensorPlaces.Of(model);
        Dictionary<string, NodeProto> producers = graph.Node.SelectMany(n => n.Output.Where(o => o.Length > 0).Select(o => (o, n)))
            .GroupBy(p => p.o).ToDictionary(p => p.Key, p => p.First().n, StringComparer.Ordinal);
        AdaptedProduct[] all = [.. graph.Node.Select(n => Of(n, weights, producers)).OfType<AdaptedProduct>()];
        var products = all.Select(p => p.Node).ToHashSet();
        var others = graph.Node.Where(n => !products.Contains(n) && !IsTransposeOf(n, all)).SelectMany(n => n.Input.Concat(Captured(n)))
            .Concat(graph.Output.Select(o => o.Name)).ToHashSet(StringComparer.Ordinal);
        // A transposed weight that something else reads is read by something else.
        others.UnionWith(graph.Node.Where(n => IsTransposeOf(n, all) && others.Contains(n.Output[0])).Select(n => n.Input[0]));
        string[] elsewhere = [.. all.SelectMany(p => p.Node.Input.Where((_, i) => i != 1))];
        return all.Where(p => !others.Contains(p.Weight) && !elsewhere.Contains(p.Weight)
            && all.Where(q => q.Weight == p.Weight).All(q => q.OutputsFirst == p.OutputsFirst));
    }

    private static AdaptedProduct? Of(NodeProto node, TensorPlaces weights, Dictionary<string, NodeProto> producers)
    {
        if (node.Input.Count < 2 || node.Output.Count == 0) return null;
        if (node.Domain == "com.microsoft" && node.OpType == "MatMulNBits")
        {
            return node.Input.Count > 2 && weights.Find(node.Input[1]) is not null && weights.Find(node.Input[2]) is FilePlace scales
                && scales.Type.IsFloating()
                ? new AdaptedProduct(node, node.Input[1], Int(node, "K", 0), Int(node, "N", 0), scales.Type, true, true, false, 1) : null;
        }
        if (node.Domain is not ("" or "ai.onnx") || node.OpType is not ("MatMul" or "Gemm")) return null;
        bool transposed = node.OpType == "Gemm" && Int(node, "transB", 0) != 0;
        string name = node.Input[1];
        if (weights.Find(name) is null && producers.TryGetValue(name, out NodeProto? transpose) && IsSwap(transpose))
        {
            name = transpose.Input[0];
            transposed = !transposed;
        }
        if (weights.Find(name) is not FilePlace weight || weight.Dimensions.Count != 2 || !weight.Type.IsFloating()) return null;
        double factor = node.OpType == "Gemm" ? node.Attribute.FirstOrDefault(a => a.Name == "alpha")?.F ?? 1 : 1;
        if (factor == 0) return null;
        (long inputs, long outputs) = transposed ? (weight.Dimensions[1], weight.Dimensions[0])
            : (weight.Dimensions[0], weight.Dimensions[1]);
        return new AdaptedProduct(node, name, inputs, outputs, weight.Type, transposed, false, node.OpType == "Gemm"
            && Int(node, "transA", 0) != 0, factor);
    }

    private static bool IsSwap(NodeProto node) => node.Domain is "" or "ai.onnx" && node.OpType == "Transpose"
        && (node.Attribute.FirstOrDefault(a => a.Name == "perm") is not AttributeProto perm || perm.Ints.SequenceEqual([1, 0]));

    private static bool IsTransposeOf(NodeProto node, AdaptedProduct[] all) => IsSwap(node)
        && all.Any(p => p.Weight == node.Input[0] && p.Node.Input[1] == node.Output[0]);

    private static long Int(NodeProto node, string name, long fallback) =>
        node.Attribute.FirstOrDefault(a => a.Name == name)?.I ?? fallback;

    private static IEnumerable<string> Captured(NodeProto node) =>
        node.Attribute.Where(a => a.G is not null).Select(a => a.G).Concat(node.Attribute.SelectMany(a => a.Graphs))
        .SelectMany(g => g.Node.SelectMany(n => n.Input.Concat(Captured(n))).Concat(g.Output.Select(o => o.Name)));
}
