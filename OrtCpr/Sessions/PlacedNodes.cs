using System.Text;
using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.OrtTraining;

namespace OrtCpr.Sessions;

/// <summary>Which nodes ONNX Runtime has put on the CPU, from the graph that it saves in its own format, the only one
/// that tells (schema: ORT's ort.fbs; fields by slot). Copies between devices are nodes too, of the other
/// provider.</summary>
internal static class PlacedNodes
{
    private const string Cpu = "CPUExecutionProvider";

    /// <summary>Fields of the tables that are read here.</summary>
    private static class Slot
    {
        public const int SessionModel = 1, ModelGraph = 7, NodeName = 0, NodeOpType = 5, NodeProvider = 7, NodeInputs = 8, NodeOutputs =
            9, NodeAttributes = 10,
            AttributeGraph = 7, AttributeGraphs = 12, GraphInitializers = 0, GraphValues = 1, GraphNodes = 2, InitializerName =
            0, ValueName = 0,
            ValueType = 2, TypeValue = 2, TensorElementType = 0, TensorShape = 1, ShapeDims = 0;
    }

    /// <summary>Has a session that is made with these options write to a file what OnCpu reads.</summary>
    public static void Save(SessionOptions options, string path)
    {
        options.OptimizedModelFilePath = path;
        options.AddSessionConfigEntry("session.save_model_format", "ORT");
    }

    /// <summary><c>shapes</c>: whether arithmetic on shapes, constants and single numbers alone may be there, as on a
    /// provider that leaves it to the CPU on purpose.</summary>
    public static IReadOnlyList<string> OnCpu(string path, bool shapes)
    {
        var found = new List<string>();
        try
        {
            if (new FlatFile(File.ReadAllBytes(path), path).Table(0)
                .Table(Slot.SessionModel)?.Table(Slot.ModelGraph) is not FlatTable graph)
            {
                throw new DeviceException("ONNX Runtime saved no graph");
            }
            Find(graph, shapes, new Scope(null), found);
        }
        catch (OrtCprException error)
        {
            // Another version of the runtime, and of the format.
            throw new DeviceException(
                $"Where ONNX Runtime {OrtEnv.Instance().GetVersionString()} has placed the nodes can't be read; "
                + $"expected the format of 1.31. Set {nameof(DriverOptions)}.{nameof(DriverOptions.AllowCpuFallback)} to go on without "
                + "that check, or take version 1.31.", error);
        }
        return found;
    }

    private static void Find(FlatTable graph, bool shapes, Scope scope, List<string> found)
    {
        scope.Add(graph);
        foreach (FlatTable node in Sorted(graph))
        {
            string[] inputs = Names(node, Slot.NodeInputs), outputs = Names(node, Slot.NodeOutputs);
            FlatTable[] bodies = [.. Bodies(node)];
            scope.Add(node, inputs, outputs, bodies.Length > 0);
            bool excused = shapes && (outputs.All(scope.IsOfShapes) || inputs.Concat(outputs).All(v => v.Length == 0 || scope.IsSmall(v)));
            if (node.Text(Slot.NodeProvider) == Cpu && !excused)
                found.Add($"{node.Text(Slot.NodeOpType)} '{(node.Text(Slot.NodeName) is { Length: > 0 } name ? name : outputs[0])}'");
            foreach (FlatTable body in bodies) Find(body, shapes, new Scope(scope), found);
        }
    }

    /// <summary>Nodes after those that they read from; the file has them in the order in which they were
    /// made.</summary>
    private static List<FlatTable> Sorted(FlatTable graph)
    {
        FlatTable[] nodes = graph.Tables(Slot.GraphNodes) ?? [];
        var producer = new Dictionary<string, int>(StringComparer.Ordinal);
        for (int i = 0; i < nodes.Length; i++)
        {
            foreach (string output in Names(nodes[i], Slot.NodeOutputs)) producer[output] = i;
        }
        var sorted = new List<FlatTable>();
        bool[] entered = new bool[nodes.Length], done = new bool[nodes.Length];
        var open = new Stack<int>(Enumerable.Range(0, nodes.Length).Reverse());
        while (open.TryPeek(out int at))
        {
            if (entered[at])
            {
                open.Pop();
                if (!done[at]) sorted.Add(nodes[at]);
                done[at] = true;
                continue;
            }
            entered[at] = true;
            foreach (string input in Names(nodes[at], Slot.NodeInputs))
            {
                if (producer.TryGetValue(input, out int from) && !entered[from]) open.Push(from);
            }
        }
        return sorted;
    }

    private static IEnumerable<FlatTable> Bodies(FlatTable node)
    {
        foreach (FlatTable attribute in node.Tables(Slot.NodeAttributes) ?? [])
        {
            if (attribute.Table(Slot.AttributeGraph) is FlatTable body) yield return body;
            foreach (FlatTable one in attribute.Tables(Slot.AttributeGraphs) ?? []) yield return one;
        }
    }

    private static string[] Names(FlatTable table, int slot) => [.. (table.Texts(slot) ?? []).Select(t => Encoding.UTF8.GetString(t.Span))];

    /// <summary>What is known of the values of a graph and of those around it.</summary>
    private sealed class Scope(Scope? outer)
    {
        private readonly Dictionary<string, bool> _small = new(StringComparer.Ordinal);
        private readonly HashSet<string> _ofShapes = new(StringComparer.Ordinal);
        private readonly HashSet<string> _scalars = new(StringComparer.Ordinal);

        public void Add(FlatTable graph)
        {
            foreach (FlatTable value in graph.Tables(Slot.GraphValues) ?? [])
            {
                if (value.Text(Slot.ValueName) is not string name) continue;
                FlatTable? type = value.Table(Slot.ValueType)?.Table(Slot.TypeValue);
                _small[name] = type is FlatTable tensor && IsSmall(tensor);
                if (type?.Table(Slot.TensorShape) is FlatTable shape && (shape.Tables(Slot.ShapeDims)?.Length ?? 0) == 0)
                    _scalars.Add(name);
            }
            foreach (FlatTable initializer in graph.Tables(Slot.GraphInitializers) ?? [])
            {
                if (initializer.Text(Slot.InitializerName) is string name) _ofShapes.Add(name);
            }
        }

        public void Add(FlatTable node, string[] inputs, string[] outputs, bool hasBodies)
        {
            string op = node.Text(Slot.NodeOpType) ?? "";
            bool random = OperatorTraits.Has(op, Trait.Random);
            if (op is "Shape" or "Size"
                || (!random && !hasBodies && inputs.All(i => i.Length == 0 || IsOfShapes(i) || _scalars.Contains(i))))
            {
                _ofShapes.UnionWith(outputs);
            }
        }

        /// <summary>Depends on shapes, constants and single numbers alone.</summary>
        public bool IsOfShapes(string name) => _ofShapes.Contains(name) || (!_small.ContainsKey(name) && outer?.IsOfShapes(name) == true);

        public bool IsSmall(string name) => _small.TryGetValue(name, out bool small) ? small : outer?.IsSmall(name) == true;

        /// <summary>A scalar or vector of integers: sizes, positions, conditions.</summary>
        private static bool IsSmall(FlatTable tensor) =>
            (ElementType)tensor.Int32(Slot.TensorElementType) is ElementType.Int64 or ElementType.Int32 or ElementType.Bool
            && tensor.Table(Slot.TensorShape) is FlatTable shape && (shape.Tables(Slot.ShapeDims)?.Length ?? 0) <= 1;
    }
}
