using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>LSTM, GRU and RNN as one Scan a direction; a pass has put the time in front. The products with the inputs
/// are one product over all steps in front of it, and the gradient rule of Scan does the same for the gradients of the
/// recurrent weights.</summary>
internal static class RecurrentDecompositions
{
    public static readonly IReadOnlyDictionary<string, Decomposition> Table = new Dictionary<string, Decomposition>(StringComparer.Ordinal)
    {
        ["RNN"] = (g, n) => Decompose(g, n, 1, Rnn),
        ["GRU"] = (g, n) => Decompose(g, n, 2, n.Int("linear_before_reset", 0) != 0 ? LinearBeforeReset : Gru),
        ["LSTM"] = (g, n) => Decompose(g, n, 3, Lstm),
        ["com.microsoft.AttnLSTM"] = (g, n) => Decompose(g, n, 3, AttnLstm),
    };

    /// <summary>One step of one direction: from the product with the inputs and the states to the new states.</summary>
    private delegate Value[] Cell(GraphBuilder g, Direction d, Term x, Term[] states);

    /// <summary>Weights and activations of one direction; R in parts where the cell multiplies different tensors by
    /// them. Clip bounds what goes into an activation, but not what goes into that of the cell state.</summary>
    private sealed record Direction(Node Node, Term[] R, Value? RecurrentBias, Value? Peepholes, RecurrentActivation[] Activations)
    {
        public RecurrentAttention? Attention { get; init; }

        public Term Act(GraphBuilder g, int index, Term x)
        {
            float clip = Node.Float("clip", 0);
            return Activations[index].Apply(g, clip > 0 ? g.Op("Clip", [x, g.Scalar(-clip, x.Type), g.Scalar(clip, x.Type)]) : x);
        }
    }

    /// <summary>h = f(x·W + h·R).</summary>
    private static Value[] Rnn(GraphBuilder g, Direction d, Term x, Term[] states) =>
        [d.Act(g, 0, x + g.Gemm(states[0], d.R[0], transB: true))];

    /// <summary>z, r = f(x·W + h·R), n = g(x·W + (r·h)·R), h = (1 - z)·n + z·h.</summary>
    private static Value[] Gru(GraphBuilder g, Direction d, Term x, Term[] states)
    {
        Term h = states[0];
        Term[] gates = Parts(g, x, 3);
        Term z = d.Act(g, 0, gates[0] + g.Gemm(h, d.R[0], transB: true));
        Term reset = d.Act(g, 0, gates[1] + g.Gemm(h, d.R[1], transB: true));
        Term n = d.Act(g, 1, gates[2] + g.Gemm(reset * h, d.R[2], transB: true));
        return [Blend(g, z, n, h)];
    }

    /// <summary>As Gru, with n = g(x·W + r·(h·R + b)).</summary>
    private static Value[] LinearBeforeReset(GraphBuilder g, Direction d, Term x, Term[] states)
    {
        Term h = states[0], product = g.Gemm(h, d.R[0], transB: true);
        if (d.RecurrentBias is not null) product += d.RecurrentBias;
        Term[] gates = Parts(g, x, 3), recurrent = Parts(g, product, 3);
        Term z = d.Act(g, 0, gates[0] + recurrent[0]), reset = d.Act(g, 0, gates[1] + recurrent[1]);
        return [Blend(g, z, d.Act(g, 1, gates[2] + reset * recurrent[2]), h)];
    }

    private static Term Blend(GraphBuilder g, Term z, Term n, Term h) => n + z * (h - n);

    /// <summary>i, f, o = f(x·W + h·R + p·c), c = f·c + i·g(x·W + h·R), h = o·h(c); the peephole of o sees the new c.
    /// Gates come in the order i, o, f, c.</summary>
    private static Value[] Lstm(GraphBuilder g, Direction d, Term x, Term[] states)
    {
        Term c = states[1];
        Term[] gates = Parts(g, x + g.Gemm(states[0], d.R[0], transB: true), 4);
        Term[]? p = d.Peepholes is null ? null : g.Ops("Split", 3, [d.Peepholes], ("axis", 0), ("num_outputs", 3));
        Term Peek(Term gate, int index, Term cell) => p is null ? gate : gate + p[index] * cell;
        Term input = d.Act(g, 0, Peek(gates[0], 0, c));
        Term forget = d.Node.Int("input_forget", 0) != 0 ? 1 - input : d.Act(g, 0, Peek(gates[2], 2, c));
        Term cell = forget * c + input * d.Act(g, 1, gates[3]);
        Term output = d.Act(g, 0, Peek(gates[1], 1, cell));
        return [output * d.Activations[2].Apply(g, cell), cell];
    }

    /// <summary>Lstm of x beside the attention of the step before, which is a state too.</summary>
    private static Value[] AttnLstm(GraphBuilder g, Direction d, Term x, Term[] states)
    {
        Value[] after = Lstm(g, d, x + g.Gemm(states[2], d.Attention!.StateWeights, transB: true), states);
        return [.. after, d.Attention.After(g, after[0])];
    }

    private static Term[] Parts(GraphBuilder g, Value x, int count) => g.Ops("Split", count, [x], ("axis", -1), ("num_outputs", count));

    private static Value?[] Decompose(GraphBuilder g, Node node, int functions, Cell cell)
    {
        Value x = node.Inputs[0]!;
        string[] directions = node.Text("direction", "forward") switch { "bidirectional" => ["forward", "reverse"], string one => [one] };
        int states = cell == Lstm || cell == AttnLstm ? 2 : 1;
        var all = new List<Value?[]>();
        for (int i = 0; i < directions.Length; i++)
        {
            Value? Part(int input) =>
                node.In(input) is not Value whole ? null : directions.Length == 1 ? g.Squeeze(whole, 0) : g.Gather(whole, g.Int(i));
            Value?[] initial = [.. Enumerable.Range(5, states).Select(Part)];
            Value? bias = Part(3);
            Term[] biases = bias is null ? [] : g.Ops("Split", 2, [bias], ("axis", 0), ("num_outputs", 2));
            Value r = Part(2)!;
            Term[] recurrent = cell == Gru ? g.Ops("Split", 3, [r], ("axis", 0), ("num_outputs", 3)) : [g.Term(r)];
            bool biasInside = cell == LinearBeforeReset && bias is not null;
            RecurrentAttention? attention = cell == AttnLstm ? new RecurrentAttention(g, node, x, Part) : null;
            if (attention is not null) initial = [.. initial, attention.First];
            RecurrentActivation[] activations = RecurrentActivation.Of(node, i, functions);
            Value? recurrentBias = biasInside ? biases[1] : null, peepholes = states == 2 ? Part(7) : null;
            var d = new Direction(node, recurrent, recurrentBias, peepholes, activations) { Attention = attention };
            Term product = g.MatMul(x, g.Transpose(attention?.InputWeights ?? Part(1)!, 1, 0));
            if (bias is not null) product += biasInside ? biases[0] : biases[0] + biases[1];
            all.Add(Scan(g, node, d, product, initial, directions[i] == "reverse", cell));
        }
        Value? y = node.Outputs[0] is null ? null : Join(g, [.. all.Select(a => g.Unsqueeze(a[^1]!, 1))], 1);
        return [y, .. Enumerable.Range(0, states).Select(k => Join(g, [.. all.Select(a => g.Unsqueeze(a[k]!, 0))], 0))];
    }

    private static Value Join(GraphBuilder g, Value[] parts, int axis) => parts.Length == 1 ? parts[0] : g.Concat(axis, parts);

    /// <summary>The last states, and last the hidden states of all steps. Steps after the end of a sequence leave its
    /// states alone and give zeros.</summary>
    private static Value?[] Scan(GraphBuilder g, Node node, Direction d, Value product, Value?[] initial, bool reverse, Cell cell)
    {
        Value zero = g.FilledOf(0, g.Concat(0, g.DimOf(product, 1), g.DimOf(d.R[0], 1)), product.Type);
        Value[] first = [.. initial.Select(v => v ?? zero)];
        var shape = new Shape(product.Shape?[1] ?? Dim.Unknown, d.R[0].Shape?[1] ?? Dim.Unknown);
        var body = new OnnxGraph(g.Graph.Names.Unique($"{g.Scope}/step"), g.Graph.Names);
        var step = new GraphBuilder(body) { Scope = body.Name };
        // The attention has a size of its own.
        Shape?[] shapes = [.. first.Select((f, i) => i < 2 ? shape : f.Shape)];
        Term[] before = [.. shapes.Select((s, i) => step.Term(body.AddInput($"{body.Name}/{"hca"[i]}", product.Type, s)))];
        Term x = step.Term(body.AddInput($"{body.Name}/x", product.Type, product.Shape is Shape s ? new Shape(s.Skip(1)) : null));
        Value[] after = cell(step, d, x, before);
        Value y = after[0];
        var scanned = new List<Value> { product };
        if (node.In(4) is Value lengths)
        {
            Term time = step.Term(body.AddInput($"{body.Name}/t", lengths.Type, Shape.Scalar));
            Term inside = step.Unsqueeze(time < lengths, 1);
            after = [.. after.Select((a, i) => step.Where(inside, a, before[i]))];
            y = step.Where(inside, y, 0);
            scanned.Add(g.Cast(g.Op("Range", [g.Int(0), g.Squeeze(g.DimOf(product, 0), 0), g.Int(1)]), lengths.Type));
        }
        for (int i = 0; i < after.Length; i++) body.Outputs.Add(GraphBuilder.Typed(after[i], product.Type, shapes[i]));
        body.Outputs.Add(step.Identity(y).Typed(product.Type, shape));
        long direction = reverse ? 1 : 0;
        Term[] results = g.Ops("Scan", after.Length + 1, [.. first, .. scanned], ("body", body), ("num_scan_inputs", scanned.Count),
            ("scan_input_directions", scanned.Select(_ => direction).ToArray()), ("scan_output_directions", new[] { direction }));
        for (int i = 0; i < after.Length; i++) results[i].Typed(product.Type, shapes[i]);
        results[^1].Typed(product.Type, new Shape(shape.Prepend(product.Shape?[0] ?? Dim.Unknown)));
        return [.. results];
    }
}
