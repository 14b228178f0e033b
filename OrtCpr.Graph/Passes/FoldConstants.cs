using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Graph.Passes;

/// <summary>Computes once what depends on constants only, by ONNX Runtime itself. Nothing that depends on a trained
/// initializer is folded: those are graph inputs by the time this runs. Integer tensors whose elements follow from
/// static dimensions become constants too.</summary>
internal static class FoldConstants
{
    /// <summary>A constant that grew beyond this is left to be computed (an Expand or ConstantOfShape of a large
    /// mask).</summary>
    private const long MaxElements = 1 << 20;

    public static void Run(OnnxModel model, ShapeInference known)
    {
        OnnxGraph graph = model.Graph;
        FoldKnownIntegers(graph, known);
        var constant = new HashSet<Value>(graph.Initializers);
        var folded = new List<Node>();
        foreach (Node node in graph.Nodes)
        {
            if (OperatorTraits.MayDraw(node) || node.Has(Trait.GivesNoTensor) || node.Domain is not ("" or "com.microsoft")
                || node.Subgraphs.Any())
            {
                continue;
            }
            if (!node.Inputs.All(i => i is null || constant.Contains(i)) || !DividesSafely(node)) continue;
            if (node.Outputs.Any(o =>
                o is not null
                && (o.Shape?.ElementCount?.Constant is not <= MaxElements || o.Type is ElementType.Undefined or ElementType.String)))
            {
                continue;
            }
            folded.Add(node);
            foreach (Value? output in node.Outputs)
            {
                if (output is not null) constant.Add(output);
            }
        }
        if (folded.Count == 0) return;
        var gone = folded.ToHashSet();
        var needed = new HashSet<Value>(graph.Outputs);
        foreach (Node node in graph.Nodes.Where(n => !gone.Contains(n))) needed.UnionWith(OnnxGraph.ReadBy(node));
        Value[] frontier = [.. folded.SelectMany(n => n.Outputs).OfType<Value>().Where(needed.Contains)];
        Evaluate(model, folded, frontier);
        graph.Nodes.RemoveAll(gone.Contains);
        RemoveDeadNodes.Run(graph);
    }

    /// <summary>An integer division by zero ends the process in ONNX Runtime's kernel. A constant zero is refused, and what
    /// is divided by a number that is not known yet is left to the run.</summary>
    private static bool DividesSafely(Node node)
    {
        if (!(node.Is("Div") || node.Is("Mod")) || node.In(1) is not Value divisor || divisor.Type.IsFloating()) return true;
        if (divisor.Data is not TensorData data) return false;
        if (!data.ToDoubles().Contains(0)) return true;
        throw new ModelFormatException(
            $"Node {node.Label} divides constants by the integer constant '{divisor.Name}', which holds 0; expected numbers other than 0. "
            + "Correct the computation in the model, and export it again.");
    }

    private static IDisposableReadOnlyCollection<OrtValue> Computed(byte[] model, string[] outputs)
    {
        try
        {
            using var options = new SessionOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL, IntraOpNumThreads = 1 };
            using var session = new InferenceSession(model, options);
            using var run = new RunOptions();
            return session.Run(run, [], (IReadOnlyCollection<OrtValue>)[], outputs);
        }
        catch (OnnxRuntimeException error)
        {
            throw new ModelFormatException(
                $"What the model computes of constants alone ({string.Join(", ", outputs.Take(5).Select(o => $"'{o}'"))}) cannot be "
                + $"computed by ONNX Runtime: {error.Message} Correct the constants, and export the model again.", error);
        }
    }

    private static void FoldKnownIntegers(OnnxGraph graph, ShapeInference known)
    {
        var outputs = new HashSet<Value>(graph.Outputs);
        foreach (Node node in graph.Nodes)
        {
            if (node.Outputs.Count != 1
                || node.Outputs[0] is not Value { Type: ElementType.Int64, Shape: Shape { Rank: <= 1 } shape } value)
            {
                continue;
            }
            if (known.Constants(value) is not long[] numbers || (shape.Rank == 0 && numbers.Length != 1)) continue;
            TensorData data = shape.Rank == 0 ? TensorData.Scalar(numbers[0]) : TensorData.From<long>(numbers, numbers.Length);
            if (outputs.Contains(value)) continue;
            value.Producer = null;
            value.Data = data;
            value.Shape = Shape.Of(data.Dimensions);
            graph.Initializers.Add(value);
            node.Outputs.Clear();
        }
        graph.Nodes.RemoveAll(n => n.Outputs.Count == 0);
        RemoveDeadNodes.Run(graph);
    }

    private static void Evaluate(OnnxModel model, List<Node> nodes, Value[] frontier)
    {
        if (frontier.Length == 0) return;
        var part = new OnnxModel(new OnnxGraph("fold", new NameAuthority())) { IrVersion = model.IrVersion };
        foreach ((string domain, long version) in model.Opsets) part.Opsets[domain] = version;
        part.Graph.Nodes.AddRange(nodes);
        var read = nodes.SelectMany(OnnxGraph.ReadBy).ToHashSet();
        foreach (Value initializer in model.Graph.Initializers.Where(read.Contains)) part.Graph.Initializers.Add(initializer);
        foreach (Value value in frontier) part.Graph.Outputs.Add(value);
        using IDisposableReadOnlyCollection<OrtValue> results = Computed(GraphWriter.ToBytes(part), [.. frontier.Select(f => f.Name)]);
        for (int i = 0; i < frontier.Length; i++)
        {
            OrtTensorTypeAndShapeInfo info = results[i].GetTensorTypeAndShape();
            byte[] bytes = results[i].GetTensorMutableRawData().ToArray();
            var type = (ElementType)(int)info.ElementDataType;
            Value value = frontier[i];
            value.Producer = null;
            value.Data = TensorData.Create(type, info.Shape, bytes);
            value.Type = type;
            value.Shape = Shape.Of(info.Shape);
            model.Graph.Initializers.Add(value);
        }
    }
}
