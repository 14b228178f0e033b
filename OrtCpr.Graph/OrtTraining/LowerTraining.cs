using System.Text;
using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Graph.OrtTraining;

// Turns a graph of ONNX Runtime's training builds into one that stock ONNX Runtime runs: every training operator becomes standard
// operators. The tables are in ForwardLowerings and GradientLowerings.
internal static class LowerTraining
{
    // Training operators that stand for something outside the graph, or that only GPU builds of ORTModule wrote.
    private static readonly HashSet<string> Elsewhere = new(StringComparer.Ordinal)
    {
        "ATen", "AdamOptimizer", "BiasSoftmaxDropout", "InPlaceAccumulator", "LambOptimizer", "MegatronF", "MegatronG", "NcclAllGather",
            "NcclAllReduce", "NcclReduceScatter", "PythonOp",
        "PythonOpGrad", "RecordEvent", "Recv", "SGDOptimizer", "Send", "SoftmaxDropoutGrad", "TorchEmbedding", "WaitEvent", "YieldOp",
            "ZeroGradient",
    };

    public static IEnumerable<string> Operators =>
        ForwardLowerings.Renamed.Keys.Concat(ForwardLowerings.Table.Keys).Concat(GradientLowerings.Table.Keys)
        .Order(StringComparer.Ordinal);

    // Accumulators and optimizers must be gone: they write to their inputs, which is the caller's to replace.
    public static void Run(OnnxModel model)
    {
        OnnxGraph graph = model.Graph;
        RefuseUnknown(model);
        foreach (Node node in graph.Nodes) Rename(node);
        var early = new GraphBuilder(graph, sink: []);
        foreach (Node node in graph.Nodes.ToList())
        {
            if (ForwardLowerings.Table.TryGetValue(node.QualifiedType, out Decomposition? lowering))
            {
                Decompositions.Rewrite(early, node, lowering);
            }
            else if (!GradientLowerings.Table.ContainsKey(node.QualifiedType))
            {
                early.Known.Visit(node);
            }
        }
        // Shapes from the runtime for all that no gradient operator comes before; behind those our own inference goes on.
        ShapeInference known = InferForward(model);
        var builder = new GraphBuilder(graph, known, []);
        foreach (Node node in graph.Nodes.ToList())
        {
            if (!GradientLowerings.Table.TryGetValue(node.QualifiedType, out Decomposition? lowering))
            {
                known.Visit(node);
                continue;
            }
            // What the rule writes knows its type; a guess from the operator's first input, which may be a shape, does not.
            foreach (Value output in node.Outputs.OfType<Value>()) output.Type = ElementType.Undefined;
            Decompositions.Rewrite(builder, node, lowering);
        }
        RemoveUnusedDomains(model);
        graph.Sort();
        RemoveDeadNodes.Run(graph);
        OperatorTable.Attach(model);
        GraphChecker.Check(model, "lower training operators");
    }

    private static void RefuseUnknown(OnnxModel model)
    {
        Node[] unknown = [.. model.Graph.Nodes.Where(IsUnknown)];
        if (unknown.Length == 0) return;
        var text = new StringBuilder($"{unknown.Length} node(s) of graph '{model.Graph.Name}' have no counterpart in stock ONNX "
            + "Runtime:\n");
        foreach (Node node in unknown) text.Append("  ").Append(node.Label).Append('\n');
        throw new LoweringException(text.Append("Train from the plain exported model instead (TrainingDriver.Create, or ortcpr train), "
            + "which writes its own gradients.").ToString());
    }

    private static bool IsUnknown(Node node)
    {
        if (Decides(node, ForwardLowerings.Renamed) || Decides(node, ForwardLowerings.Table) || Decides(node, GradientLowerings.Table))
        {
            return false;
        }
        bool grad = node.OpType.EndsWith("Grad", StringComparison.Ordinal) || node.OpType.Contains("Grad_", StringComparison.Ordinal);
        return node.Domain == "org.pytorch.aten" || (node.Domain is "" or "com.microsoft" && (grad || Elsewhere.Contains(node.OpType)));
    }

    private static bool Decides<T>(Node node, IReadOnlyDictionary<string, T> table) => table.ContainsKey(node.QualifiedType);

    // What the gradient operators ask their forward node for stays known as its output: it leads them to the node.
    private static void Rename(Node node)
    {
        if (!ForwardLowerings.Renamed.TryGetValue(node.QualifiedType, out (string OpType, int Outputs) standard)) return;
        (node.Domain, node.OpType) = ("", standard.OpType);
        while (node.Outputs.Count > standard.Outputs) node.Outputs.RemoveAt(node.Outputs.Count - 1);
    }

    private static ShapeInference InferForward(OnnxModel model)
    {
        OnnxGraph graph = model.Graph;
        Node[] all = [.. graph.Nodes];
        Value[] outputs = [.. graph.Outputs];
        var backward = new HashSet<Node>();
        foreach (Node node in all)
        {
            if (GradientLowerings.Table.ContainsKey(node.QualifiedType)
                || OnnxGraph.ReadBy(node).Any(v => v.Producer is Node p && backward.Contains(p)))
            {
                backward.Add(node);
            }
        }
        try
        {
            graph.Nodes.RemoveAll(backward.Contains);
            graph.Outputs.Clear();
            return graph.Nodes.Count == 0 ? new ShapeInference() : InferShapes.Run(model);
        }
        finally
        {
            graph.Nodes.Clear();
            graph.Nodes.AddRange(all);
            foreach (Value output in outputs) graph.Outputs.Add(output);
        }
    }

    // Artifacts import every domain that the package knows; stock ONNX Runtime need not.
    internal static void RemoveUnusedDomains(OnnxModel model)
    {
        var used = model.Graph.Nodes.Select(n => n.Domain).Append("").Append("com.microsoft").ToHashSet(StringComparer.Ordinal);
        foreach (string domain in model.Opsets.Keys.Where(d => !used.Contains(d)).ToList()) model.Opsets.Remove(domain);
    }
}
