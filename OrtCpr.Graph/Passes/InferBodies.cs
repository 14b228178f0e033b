using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>Types and shapes of the values in the bodies of If, Loop and Scan: each body is inferred as a model of its
/// own, whose inputs are those of the body and the outer values that it reads.</summary>
internal static class InferBodies
{
    public static void Run(OnnxModel model, Node node, bool again)
    {
        foreach (OnnxGraph body in node.Subgraphs)
        {
            if (node.Is("Scan")) TypeScanInputs(node, body);
            if (node.Is("Loop")) TypeLoopInputs(node, body);
            Infer(model, body, again);
            if (node.Is("Loop") && LoosenStates(body)) Infer(model, body, again);
        }
        for (int i = 0; i < node.Outputs.Count; i++)
        {
            if (node.Outputs[i] is Value output) output.Shape ??= FromBody(node, i);
        }
    }

    /// <summary>What ONNX Runtime leaves open: a state of a loop has the shape that all its iterations agree
    /// on.</summary>
    internal static Shape? FromBody(Node node, int index)
    {
        OnnxGraph first = node.Subgraphs.First();
        if (node.Is("If"))
            return node.Subgraphs.Select(b => b.Outputs[index].Shape).Aggregate((a, b) => a is not null && a.SurelyEquals(b) ? a : null);
        if (!node.Is("Loop")) return null;
        int states = first.Inputs.Count - 2;
        return index < states ? first.Inputs[index + 2].Shape : first.Outputs[index + 1].Shape is Shape slice
            ? new Shape(slice.Prepend(Dim.Unknown)) : null;
    }

    private static void Infer(OnnxModel model, OnnxGraph body, bool again)
    {
        var part = new OnnxModel(new OnnxGraph(body.Name, new NameAuthority())) { IrVersion = model.IrVersion };
        foreach ((string domain, long version) in model.Opsets) part.Opsets[domain] = version;
        Value[] captured = [.. body.Captured()];
        foreach (Value value in body.Inputs.Concat(captured.Where(v => !v.IsInitializer))) part.Graph.Inputs.Add(value);
        foreach (Value value in body.Initializers.Concat(captured.Where(v => v.IsInitializer))) part.Graph.Initializers.Add(value);
        part.Graph.Nodes.AddRange(body.Nodes);
        if (part.Graph.Inputs.All(i => i.Type != ElementType.Undefined))
        {
            InferShapes.Run(part, named: false, again);
            return;
        }
        // A sequence among the inputs cannot be written as a tensor: only our own rules are left.
        var known = new ShapeInference();
        foreach (Node node in body.Nodes) known.Visit(node);
    }

    /// <summary>States as they come in, and slices of the scanned tensors.</summary>
    internal static void TypeScanInputs(Node node, OnnxGraph body)
    {
        int scanned = (int)node.Int("num_scan_inputs", 0), states = body.Inputs.Count - scanned;
        long[]? axes = node.Ints("scan_input_axes");
        for (int i = 0; i < body.Inputs.Count; i++)
        {
            if (node.In(i) is not Value outer) continue;
            Shape? shape = outer.Shape;
            if (i >= states && shape is not null)
            {
                int axis = shape.Axis(axes?[i - states] ?? 0);
                shape = new Shape(shape.Where((_, d) => d != axis));
            }
            State(body.Inputs[i], outer.Type, shape);
        }
    }

    internal static void TypeLoopInputs(Node node, OnnxGraph body)
    {
        State(body.Inputs[0], ElementType.Int64, Shape.Scalar);
        State(body.Inputs[1], ElementType.Bool, Shape.Scalar);
        for (int i = 2; i < body.Inputs.Count; i++)
        {
            if (node.In(i) is Value outer) State(body.Inputs[i], outer.Type, outer.Shape);
        }
    }

    /// <summary>A loop may change the shape of a state: a dimension that an iteration gives back differently is a
    /// symbol of its own in it, so that growth stays visible. True when anything was.</summary>
    private static bool LoosenStates(OnnxGraph body)
    {
        bool any = false;
        for (int i = 2; i < body.Inputs.Count; i++)
        {
            Value state = body.Inputs[i];
            Shape? before = state.Shape, after = body.Outputs[i - 1].Shape;
            if (before is null || before.SurelyEquals(after)) continue;
            Shape? loose = after is null || after.Rank != before.Rank ? null
                : new Shape(before.Select((d, k) => d.SurelyEquals(after[k]) ? d : SymbolicInt.Symbol($"{state.Name}[{k}]")));
            if (before.Equals(loose)) continue;
            State(state, state.Type, loose);
            any = true;
        }
        if (!any) return false;
        foreach (Value? output in body.Nodes.SelectMany(n => n.Outputs))
        {
            if (output is not null) output.Shape = null;
        }
        return true;
    }

    /// <summary>The declaration in the file, which may say less, is dropped.</summary>
    private static void State(Value value, ElementType type, Shape? shape)
    {
        value.Type = type;
        value.Shape = shape;
        value.Origin = null;
    }
}
