using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Operators;

namespace OrtCpr.Graph.Passes;

/// <summary>A copy of a graph in the form that a device runs as a whole: functions inlined, shapes folded, operators
/// that it lacks written with others, and an Identity in front of each state output where a node may not write the
/// buffer that it reads.</summary>
internal static class AdaptToDevice
{
    /// <summary><c>shapes</c>: the sizes of some inputs, where the graph is made for one size of batch. <c>kernels</c>: operators of ours
    /// that have one on the device, and so stay.</summary>
    public static OnnxModel Run(OnnxModel model, DeviceCapabilities device, IReadOnlyDictionary<string, long[]>? shapes = null,
        IReadOnlySet<string>? kernels = null)
    {
        OnnxModel copy = GraphCopier.Copy(model).Model;
        Inline(copy, kernels);
        if (shapes is not null) FixShapes(copy.Graph, shapes);
        if (!device.Float64) RefuseDouble(copy.Graph, device);
        if (device.HighestOpset is int highest) LowerOpset(copy, highest);
        PrepareGraph.Run(copy, InferShapes.Again(copy));
        // It writes calls for what it recognises, such as a Gelu by Erf.
        OperatorTable.Attach(copy);
        Inline(copy, kernels);
        ReplaceMissing(copy.Graph, InferShapes.Again(copy), device);
        if (device.HostShapes) InputsOnDevice.Run(copy.Graph);
        WidenMissing.Run(copy, device);
        if (kernels?.Contains(OuterSum.Definition.Name) == true) SumsByKernel.Run(copy.Graph);
        if (!device.InPlace) SeparateOutputs(copy.Graph);
        copy.Graph.Sort();
        RemoveDeadNodes.Run(copy.Graph);
        // A kernel hides the body, and bodies have not been adapted.
        copy.Functions.Clear();
        bool calls = copy.Graph.NodesAndInner().Any(n => n.Domain == OperatorDefinition.Domain);
        if (calls) copy.Opsets[OperatorDefinition.Domain] = 1;
        GraphChecker.Check(copy, "adapt to device");
        return copy;
    }

    private static void Inline(OnnxModel model, IReadOnlySet<string>? kernels) =>
        InlineFunctions.Run(model, f => f.Domain == OperatorDefinition.Domain && kernels?.Contains(f.Name) == true);

    /// <summary>Numbers for the symbols in the shapes of these inputs, in every shape of the graph; what is not a
    /// number then is inferred anew.</summary>
    private static void FixShapes(OnnxGraph graph, IReadOnlyDictionary<string, long[]> shapes)
    {
        var sizes = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (Value input in graph.Inputs)
        {
            if (!shapes.TryGetValue(input.Name, out long[]? given)) continue;
            for (int i = 0; i < given.Length && input.Shape is not null; i++) sizes[input.Shape[i].ToString()] = given[i];
            input.Shape = Shape.Of(given);
        }
        foreach (Value value in graph.Nodes.SelectMany(n => n.Outputs).OfType<Value>())
        {
            long?[]? known = value.Shape?.Select(d => d.Size?.Evaluate(sizes)).ToArray();
            value.Shape = known is not null && known.All(k => k is not null) ? Shape.Of(known.Select(k => k!.Value)) : null;
        }
    }

    /// <summary>A graph without anything that came after it is one of the device's highest opset too: all other changes
    /// up to the newest only add types.</summary>
    private static void LowerOpset(OnnxModel model, int highest)
    {
        bool fits = model.Graph.NodesAndInner().All(n => OperatorTraits.SinceOpset(n) <= highest);
        if (model.Opset > highest && fits) model.Opsets[""] = highest;
    }

    private static void RefuseDouble(OnnxGraph graph, DeviceCapabilities device)
    {
        string[] doubles = [.. graph.Inputs.Where(i => i.Type == ElementType.Double).Select(i => $"'{i.Name}'")];
        if (doubles.Length > 0)
        {
            throw new OptionException(
                $"The {device.Name} provider has no float64, and the graph '{graph.Name}' has float64 inputs: "
                + $"{string.Join(", ", doubles.Take(5))}. Export the model in float32, or use 'cpu'.");
        }
    }

    /// <summary>In a graph, and then in the bodies of its nodes, those that a replacement has brought included.</summary>
    private static void ReplaceMissing(OnnxGraph graph, ShapeInference known, DeviceCapabilities device)
    {
        foreach (Node node in graph.Nodes.Where(n => device.Missing.Contains(n.QualifiedType)).ToList()) Replace(graph, known, node);
        if (device.ColumnMajorMaxPool) MaxPoolIndices.Transpose(graph, known);
        foreach (OnnxGraph body in graph.Nodes.SelectMany(n => n.Subgraphs).ToList())
        {
            var inside = new ShapeInference();
            foreach (Node node in body.Nodes) inside.Visit(node);
            ReplaceMissing(body, inside, device);
        }
    }

    private static void Replace(OnnxGraph graph, ShapeInference known, Node node)
    {
        var nodes = new List<Node>();
        var g = new GraphBuilder(graph, known, nodes) { Scope = node.Outputs.First(o => o is not null)!.Name };
        Value?[] replacements = DeviceReplacements.Of(g, node);
        int at = graph.Nodes.IndexOf(node);
        graph.Nodes.InsertRange(at + 1, nodes);
        if (replacements.Length == 0) return;
        graph.Nodes.RemoveAt(at);
        for (int i = 0; i < node.Outputs.Count; i++)
        {
            if (node.Outputs[i] is not Value old) continue;
            Value value = replacements[i]!;
            GraphBuilder.Like(value, old);
            graph.ReplaceReaders(old, value);
            // A graph output keeps its name.
            if (graph.Outputs.Contains(value)) value.Name = old.Name;
        }
    }

    private static void SeparateOutputs(OnnxGraph graph)
    {
        var g = new GraphBuilder(graph);
        for (int i = 0; i < graph.Outputs.Count; i++)
        {
            Value output = graph.Outputs[i];
            if (output.Producer is null || output.Type == ElementType.Bool) continue;
            g.Scope = output.Name;
            // An Identity of integers may have no kernel, and a neutral element would be optimized away; x + (x − x) is
            // exact for integers.
            Term x = g.Term(output);
            Value copy = (output.Type.IsFloating() ? g.Identity(x) : x + (x - x)).Like(x);
            (copy.Name, output.Name) = (output.Name, copy.Name);
            graph.Outputs[i] = copy;
        }
    }
}
