using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Operators;

namespace OrtCpr.Graph.Passes;

/// <summary>Types and shapes of every value: ONNX Runtime infers what is not known yet, and our own sweep over the
/// nodes restores the symbols that it loses after Shape → ... → Reshape. A long graph goes through in parts, each
/// typed by the one before: a session's time grows faster than its nodes.</summary>
internal static class InferShapes
{
    private const int PartNodes = 800;

    /// <summary><c>named</c>: what is unknown gets a symbol. Not in bodies, where a value may have other sizes in each
    /// iteration.</summary>
    public static ShapeInference Run(OnnxModel model, bool named = true) => Run(model, named, again: false);

    /// <summary>For a graph that was inferred before and then rewritten: what is typed stays, and ONNX Runtime is asked
    /// only about what is not.</summary>
    public static ShapeInference Again(OnnxModel model) => Run(model, named: true, again: true);

    public static ShapeInference Run(OnnxModel model, bool named, bool again, int partNodes = PartNodes)
    {
        Node[][] parts = [.. model.Graph.Nodes.Chunk(partNodes)];
        foreach (Value input in named ? model.Graph.Inputs : []) ShapeInference.NameUnknown(input);
        var known = new ShapeInference();
        if (parts.Length > 1)
        {
            Dictionary<Value, int> lastRead = LastRead(parts);
            bool cut = true;
            for (int i = 0; i < parts.Length && cut; i++)
            {
                if (!again || parts[i].Any(Unknown)) RuntimeInference.Run(Part(model, WithBodies(model, parts[i])));
                Sweep(model, parts[i], known, named, again);
                cut = parts[i].SelectMany(n => n.Outputs).All(o => o is null || lastRead.GetValueOrDefault(o) <= i || IsKnown(o));
            }
            if (cut) return known;
        }
        // A sequence, or a tensor of unknown rank, cannot be handed from part to part without loss.
        if (!again || model.Graph.Nodes.Any(Unknown))
        {
            Node[] nodes = WithBodies(model, model.Graph.Nodes);
            RuntimeInference.Run(nodes.Length == model.Graph.Nodes.Count ? model : Part(model, nodes));
        }
        known = new ShapeInference();
        Sweep(model, model.Graph.Nodes, known, named, again);
        return known;
    }

    /// <summary>All but calls that only a kernel computes, which ONNX Runtime does not know; they are typed.</summary>
    private static Node[] WithBodies(OnnxModel model, IEnumerable<Node> nodes)
    {
        var bodies = model.Functions.Select(f => (f.Domain, f.Name)).ToHashSet();
        return [.. nodes.Where(n => n.Domain != OperatorDefinition.Domain || bodies.Contains((n.Domain, n.OpType)))];
    }

    private static void Sweep(OnnxModel model, IEnumerable<Node> nodes, ShapeInference known, bool named, bool again)
    {
        foreach (Node node in nodes)
        {
            known.Visit(node);
            if (node.Subgraphs.Any()) InferBodies.Run(model, node, again);
            foreach (Value? output in named ? node.Outputs : []) ShapeInference.NameUnknown(output);
        }
    }

    private static bool IsKnown(Value value) => value.Type != ElementType.Undefined && value.Shape is not null;

    private static bool Unknown(Node node) => node.Outputs.Any(o => o is not null && !IsKnown(o));

    private static Dictionary<Value, int> LastRead(Node[][] parts)
    {
        var last = new Dictionary<Value, int>();
        for (int i = 0; i < parts.Length; i++)
        {
            foreach (Value value in parts[i].SelectMany(OnnxGraph.ReadBy)) last[value] = i;
        }
        return last;
    }

    /// <summary>Some nodes as a model of their own, on the same values.</summary>
    internal static OnnxModel Part(OnnxModel model, IReadOnlyList<Node> nodes)
    {
        var part = new OnnxModel(new OnnxGraph(model.Graph.Name, new NameAuthority())) { IrVersion = model.IrVersion };
        foreach ((string domain, long version) in model.Opsets) part.Opsets[domain] = version;
        foreach (OnnxFunction function in model.Functions) part.Functions.Add(function);
        part.Graph.Nodes.AddRange(nodes);
        foreach (Value value in part.Graph.Captured())
        {
            if (value.IsInitializer) part.Graph.Initializers.Add(value);
            else part.Graph.Inputs.Add(value);
        }
        return part;
    }
}
