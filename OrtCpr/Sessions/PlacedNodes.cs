using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Sessions;

/// <summary>Which nodes of a graph ONNX Runtime has put on the CPU: its own report of names, looked up in our graph, which knows what
/// a node computes. Copies between devices are no part of the report.</summary>
internal static class PlacedNodes
{
    private const string Cpu = "CPUExecutionProvider";

    /// <summary>What arithmetic on shapes is made of. The runtime makes such nodes when it writes an operator out by its definition, or
    /// moves a Transpose.</summary>
    private static readonly HashSet<string> ShapeOperators = new(StringComparer.Ordinal)
    {
        "Add", "Cast", "Concat", "ConstantOfShape", "Div", "Equal", "Expand", "Gather", "Identity", "Max", "Min", "Mod", "Mul", "Range",
        "ReduceProd", "ReduceSum", "Reshape", "Shape", "Size", "Slice", "Squeeze", "Sub", "Unsqueeze", "Where",
    };

    /// <summary>Has a session that is made with these options keep what <see cref="OnCpu"/> reads.</summary>
    public static void Record(SessionOptions options) => EpAssignment.Record(options);

    /// <summary>Gives each node a name of its own, by which it is found in the report. Before the graph is written.</summary>
    public static void NameAll(OnnxModel model)
    {
        Node[] nodes = [.. model.Graph.NodesAndInner()];
        var taken = new HashSet<string>(nodes.Select(n => n.Name), StringComparer.Ordinal);
        var seen = new HashSet<string>(StringComparer.Ordinal) { "" };
        foreach (Node node in nodes)
        {
            if (seen.Add(node.Name)) continue;
            string stem = node.Name.Length > 0 ? node.Name : node.OpType;
            int number = 1;
            while (!taken.Add($"{stem}_{number}")) number++;
            node.Name = $"{stem}_{number}";
            seen.Add(node.Name);
        }
    }

    /// <summary>The nodes on the CPU, for people.</summary>
    /// <param name="session">The session, whose options had <see cref="Record"/>.</param>
    /// <param name="model">Its graph, in the order of computation, with names by <see cref="NameAll"/>.</param>
    /// <param name="shapes">Whether arithmetic on shapes, constants and single numbers alone may be there, as on a provider that
    /// leaves it to the CPU on purpose.</param>
    /// <exception cref="DeviceException">This version of the runtime does not tell.</exception>
    public static IReadOnlyList<string> OnCpu(InferenceSession session, OnnxModel model, bool shapes)
    {
        var nodes = new Dictionary<string, Node>(StringComparer.Ordinal);
        foreach (Node node in model.Graph.NodesAndInner()) nodes[node.Name] = node;
        IReadOnlyList<(string Provider, string Operator, string Node)> report = Report(session, expected: nodes.Count > 0);
        var found = new List<string>();
        var known = new List<Node>();
        foreach ((string provider, string op, string name) in report)
        {
            if (provider != Cpu) continue;
            if (nodes.TryGetValue(name, out Node? node)) known.Add(node);
            // One that the runtime itself has made is in no graph of ours: of these only the operator is known.
            else if (!shapes || !ShapeOperators.Contains(op)) found.Add($"{op} '{name}'");
        }
        return [.. found, .. (shapes ? Refused(model.Graph, known) : known).Select(n => n.Label)];
    }

    /// <summary>Whether results of the host are copied to the device within a run (<see cref="HostOperands.AreCopied"/>).</summary>
    /// <param name="session">The session, whose options had <see cref="Record"/>.</param>
    /// <param name="model">Its graph, with names by <see cref="NameAll"/>.</param>
    /// <exception cref="DeviceException">This version of the runtime does not tell.</exception>
    public static bool CopyToTheDevice(InferenceSession session, OnnxModel model)
    {
        var onCpu = Report(session, expected: model.Graph.Nodes.Count > 0).Where(r => r.Provider == Cpu).Select(r => r.Node)
            .ToHashSet(StringComparer.Ordinal);
        return HostOperands.AreCopied(model.Graph, n => onCpu.Contains(n.Name));
    }

    /// <summary>Of the nodes that a provider has left on the CPU those that it should not have: all but arithmetic on shapes, constants
    /// and single numbers.</summary>
    internal static IEnumerable<Node> Refused(OnnxGraph graph, IEnumerable<Node> onCpu)
    {
        HashSet<Value> ofShapes = OfShapes(graph);
        return onCpu.Where(n => !IsExcused(n, ofShapes));
    }

    private static IReadOnlyList<(string Provider, string Operator, string Node)> Report(InferenceSession session, bool expected)
    {
        Exception? cause = null;
        try
        {
            IReadOnlyList<(string, string, string)> report = EpAssignment.Of(session);
            if (report.Count > 0 || !expected) return report;
        }
        catch (Exception error) when (error is InvalidOperationException or NotSupportedException or MissingFieldException)
        {
            cause = error;
        }
        throw new DeviceException($"ONNX Runtime {OrtEnv.Instance().GetVersionString()} does not tell where it has placed the nodes"
            + $"{(cause is null ? "" : $" ({cause.Message})")}. Set {nameof(DriverOptions)}.{nameof(DriverOptions.AllowCpuFallback)} "
            + "to go on without that check, or take version 1.31.", cause);
    }

    /// <summary>Values that depend on shapes, constants and single numbers alone, in a graph and in the bodies of its nodes.</summary>
    private static HashSet<Value> OfShapes(OnnxGraph graph)
    {
        var found = new HashSet<Value>();
        Add(graph);
        return found;

        void Add(OnnxGraph part)
        {
            found.UnionWith(part.Initializers);
            foreach (Node node in part.Nodes)
            {
                bool derived = !OperatorTraits.Has(node.OpType, Trait.Random) && !node.Subgraphs.Any()
                    && node.Inputs.All(i => i is null || found.Contains(i) || i.Shape?.Rank == 0);
                if (derived || node.Is("Shape") || node.Is("Size")) found.UnionWith(node.Outputs.OfType<Value>());
                foreach (OnnxGraph body in node.Subgraphs) Add(body);
            }
        }
    }

    private static bool IsExcused(Node node, HashSet<Value> ofShapes) =>
        node.Outputs.All(o => o is null || ofShapes.Contains(o)) || node.Inputs.Concat(node.Outputs).All(v => v is null || IsSmall(v));

    /// <summary>A scalar or vector of integers: sizes, positions, conditions.</summary>
    private static bool IsSmall(Value value) =>
        value.Type is ElementType.Int64 or ElementType.Int32 or ElementType.Bool && value.Shape?.Rank <= 1;
}
