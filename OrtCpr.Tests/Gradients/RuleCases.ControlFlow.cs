using OrtCpr.Graph;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Tests.Gradients;

internal static partial class RuleCases
{
    private static RuleCase[] ControlFlow =>
    [
        Flow("If", [Bools([], 1), X(2, 3), X(3)], Branches),
        Flow("If", [Bools([], 0), X(2, 3), X(3)], Branches),
        Flow("If", [Bools([], 1), X(2, 3), X(3)], (g, x) => Branches(g, x, Branches)),
        Flow("Loop", [Int(4), X(2, 3), X(3)], (g, x) =>
            Loop(g, x[0], null, [x[1]!], (b, i, s) => (null, [b.Tanh(b.Mul(s[0], x[2]!))], [b.Add(s[0], x[2]!)]))),
        Flow("Loop", [Fed(Int(3)), X(2, 3), Between(-0.5, 0.5, 3, 3)], (g, x) =>
            Loop(g, x[0], null, [x[1]!], (b, i, s) => (null, [b.MatMul(s[0], x[2]!)], [b.Mul(s[0], b.Cast(i, s[0].Type))]))),
        // Ends when the state is large enough, after a number of iterations that depends on the data; the product of
        // both states flows.
        Flow("Loop", [Between(0.5, 1, 2), Between(1.5, 2, 2)], (g, x) => Loop(g, null, g.Scalar(1, ElementType.Bool), [x[0]!, x[1]!],
            (b, i, s) =>
            (b.Less(b.ReduceSum(s[0], false), b.Scalar(6, s[0].Type)), [b.Mul(s[0], x[1]!), b.Sqrt(s[1])], [b.Mul(s[0], s[1])]))),
        // No iteration at all.
        Flow("Loop", [Fed(Int(0)), X(2, 3), X(3)], (g, x) => Loop(g, x[0], null, [x[1]!], (b, i, s) => (null, [b.Mul(s[0], x[2]!)], []))),
        // Body without a state: outer values only.
        Flow("Loop", [Int(3), X(2, 3)], (g, x) =>
            Loop(g, x[0], g.Scalar(1, ElementType.Bool), [], (b, i, s) =>
                (null, [], [b.Mul(b.Gather(x[1]!, b.Cast(b.Op("Mod", [i, b.Int(2)]), ElementType.Int64)), x[1]!)]))),
        // The way back calls operators of ours from inside its body.
        Flow("Loop", [Int(2), X(1, 2, 4, 3), X(2, 2, 3, 3)], (g, x) => Loop(g, x[0], null, [x[1]!],
            (b, i, s) => (null, [b.Tanh(s[0])], [b.Op("Conv", [s[0], x[2]!], ("pads", new long[] { 1, 1, 1, 1 }))]))),
        // A state that counts, and a loop in a loop.
        Flow("Loop", [Int(2), X(2, 3), X(3)], (g, x) => Loop(g, x[0], null, [x[1]!], (b, i, s) =>
            (null, [Loop(b, b.Int(2), null, [s[0]], (c, j, t) =>
                (null, [c.Tanh(c.Add(c.Mul(t[0], x[2]!), c.Mul(s[0], c.Cast(i, s[0].Type))))], []))[0]], []))),
        Flow("Scan", [X(2), X(4, 2), X(2, 2)], (g, x) =>
            Scan(g, [x[0]!], [x[1]!], (b, s, e) =>
                ([b.Tanh(b.Add(b.Squeeze(b.MatMul(b.Unsqueeze(s[0], 0), x[2]!), 0), e[0]))], [b.Mul(s[0], e[0])]))),
        Flow("Scan", [X(3), X(), X(3, 4), X(5, 4)], (g, x) => Scan(g, [x[0]!, x[1]!], [x[2]!, x[3]!],
            (b, s, e) => ([b.Mul(s[0], e[0]), b.Add(s[1], b.ReduceSum(b.Mul(e[1], s[1]), false))], [b.Mul(s[0], s[1]), e[1]]),
            ("scan_input_axes", new long[] { 1, -1 }), ("scan_input_directions", new long[] { 0, 1 }),
            ("scan_output_axes", new long[] { -1, 0 }), ("scan_output_directions", new long[] { 1, 0 }))),
        Flow("Scan", [X(2, 3), X(4, 2, 3), X(3)], (g, x) =>
            Scan(g, [x[0]!], [x[1]!], (b, s, e) =>
                ([Branches(b, [b.Greater(b.ReduceSum(e[0], false), b.Scalar(0, e[0].Type)), s[0], x[2]!])[0]], [e[0]]))),
    ];

    private static RuleCase Flow(string op, Feed?[] inputs, Func<GraphBuilder, Value?[], Value[]> body) =>
        Case(op, inputs) with { Body = body };

    private static Value[] Branches(GraphBuilder g, Value?[] x) => Branches(g, x, null);

    /// <summary>x0 ? x1·x2 : exp(x2), or in its place what <c>inner</c> writes.</summary>
    private static Value[] Branches(GraphBuilder g, Value?[] x, Func<GraphBuilder, Value?[], Value[]>? inner)
    {
        OnnxGraph then = Body(g, "then", [], b => inner is null ? [b.Mul(x[1]!, x[2]!), b.Identity(x[1]!)] : inner(b, x));
        OnnxGraph otherwise = Body(g, "else", [], b => [b.Add(b.Exp(x[2]!), b.Filled(0, x[1]!)), b.Neg(x[1]!)]);
        return [.. g.Ops("If", 2, [x[0]], ("then_branch", then), ("else_branch", otherwise))];
    }

    internal static Value[] Loop(GraphBuilder g, Value? count, Value? condition, Value[] first,
        Func<GraphBuilder, Value, Value[], (Value? Next, Value[] States, Value[] Slices)> write)
    {
        int outputs = 0;
        Value iteration = new(g.Graph.Names.Unique("iteration"), ElementType.Int64, Shape.Scalar);
        Value go = new(g.Graph.Names.Unique("go"), ElementType.Bool, Shape.Scalar);
        Value[] states = [.. first.Select(f => new Value(g.Graph.Names.Unique("state"), f.Type, f.Shape))];
        OnnxGraph body = Body(g, "body", [iteration, go, .. states], b =>
        {
            (Value? next, Value[] after, Value[] slices) = write(b, iteration, states);
            outputs = after.Length + slices.Length;
            return [next ?? b.Identity(go), .. after, .. slices];
        });
        return [.. g.Ops("Loop", outputs, [count, condition, .. first], ("body", body))];
    }

    internal static Value[] Scan(GraphBuilder g, Value[] first, Value[] scanned,
        Func<GraphBuilder, Value[], Value[], (Value[] States, Value[] Slices)> write, params (string, object)[] attributes)
    {
        int outputs = 0;
        long[]? axes = attributes.Where(a => a.Item1 == "scan_input_axes").Select(a => (long[])a.Item2).FirstOrDefault();
        Value[] states = [.. first.Select(f => new Value(g.Graph.Names.Unique("state"), f.Type, f.Shape))];
        Value[] slices = [
            .. scanned.Select((s, i) =>
                new Value(g.Graph.Names.Unique("slice"), s.Type, new Shape(s.Shape!.Where((_, d) => d != s.Shape!.Axis(axes?[i] ?? 0)))))];
        OnnxGraph body = Body(g, "body", [.. states, .. slices], b =>
        {
            (Value[] after, Value[] given) = write(b, states, slices);
            outputs = after.Length + given.Length;
            return [.. after, .. given];
        });
        return [.. g.Ops("Scan", outputs, [.. first, .. scanned], [("body", body), ("num_scan_inputs", scanned.Length), .. attributes])];
    }

    internal static OnnxGraph Body(GraphBuilder g, string name, Value[] inputs, Func<GraphBuilder, Value[]> write)
    {
        var body = new OnnxGraph(name, g.Graph.Names);
        foreach (Value input in inputs) body.Inputs.Add(input);
        var b = new GraphBuilder(body) { Scope = g.Graph.Names.Unique(name) };
        foreach (Value output in write(b)) body.Outputs.Add(GraphBuilder.Like(b.Identity(output), output));
        return body;
    }
}
