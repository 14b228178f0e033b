using OrtCpr.Graph.Ir;

namespace OrtCpr.Tests.Gradients;

internal static partial class RuleCases
{
    /// <summary>No operator of these has a rule: the pass dissolves them, and the rows are named by what they end
    /// in.</summary>
    private static RuleCase[] Sequences =>
    [
        Dissolved("SequenceAt", [X(2, 3), X(2, 3), X(3)], (g, x) =>
            [g.Mul(At(g, g.Op("SequenceConstruct", x), -1), At(g, g.Op("SequenceConstruct", x), 0))]),
        Dissolved("SequenceInsert", [X(2, 3), X(2, 3)], (g, x) =>
        {
            Value empty = g.Op("SequenceEmpty", []), one = g.Op("SequenceInsert", [empty, x[0]]);
            Value two = g.Op("SequenceInsert", [one, x[1], g.Int(0)]);
            Value three = g.Op("SequenceInsert", [two, g.Mul(x[0]!, x[1]!), g.Int(-1)]), erased = g.Op("SequenceErase", [three, g.Int(0)]);
            return [g.Op("ConcatFromSequence", [erased], ("axis", 1)), g.Op("ConcatFromSequence", [two], ("axis", -1), ("new_axis", 1))];
        }),
        Dissolved("SplitToSequence", [X(5, 3)], (g, x) =>
        {
            Value pairs = g.Op("SplitToSequence", [x[0], g.Int(2)]);
            Value parts = g.Op("SplitToSequence", [x[0], g.Ints(1, 4)], ("axis", 0));
            Value rows = g.Op("SplitToSequence", [x[0]], ("axis", 1), ("keepdims", 0));
            return [g.Exp(At(g, pairs, 2)), g.Tanh(At(g, parts, 1)), g.Op("ConcatFromSequence", [rows], ("axis", 0), ("new_axis", 1))];
        }) with { StaticOnly = true },
        Dissolved("OptionalGetElement", [X(2, 3)], (g, x) => [g.Exp(g.Op("OptionalGetElement", [g.Op("Optional", [x[0]])]))]),
        Dissolved("SequenceMap", [X(2, 3), X(2, 3), X(3)], (g, x) =>
        {
            Value a = new(g.Graph.Names.Unique("a"), x[0]!.Type, x[0]!.Shape), b = new(g.Graph.Names.Unique("b"), x[2]!.Type, x[2]!.Shape);
            OnnxGraph body = Body(g, "map", [a, b], h => [h.Mul(h.Tanh(a), b)]);
            Value mapped = g.Op("SequenceMap", [g.Op("SequenceConstruct", [x[0], x[1]]), x[2]], ("body", body));
            return [g.Mul(At(g, mapped, 0), At(g, mapped, 1))];
        }),
    ];

    private static Value At(GraphBuilder g, Value sequence, long position) => g.Op("SequenceAt", [sequence, g.Int(position)]);

    private static RuleCase Dissolved(string op, Feed?[] inputs, Func<GraphBuilder, Value?[], Value[]> body) =>
        Case(op, inputs) with { Body = body };
}
