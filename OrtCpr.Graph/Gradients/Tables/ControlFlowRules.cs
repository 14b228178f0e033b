using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>Operators with bodies. Their rules also give the gradients of the outer values that the bodies
/// read.</summary>
internal static class ControlFlowRules
{
    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["If"] = If,
        ["Loop"] = (g, op, dy) => new IterationRule(g, op, Iteration.OfLoop(op)).Run(),
        ["Scan"] = (g, op, dy) => new IterationRule(g, op, Iteration.OfScan(op)).Run(),
    };

    /// <summary>Another If, whose branches are the gradients of the branches: what the branch that ran has not read
    /// gets zeros.</summary>
    private static Value?[] If(GraphBuilder g, Forward op, Term dy)
    {
        Value[] wanted = [.. op.Captured.Where(op.Active.Contains)];
        if (wanted.Length == 0) return [];
        Term[] found =
            g.Ops("If", wanted.Length, [op.In(0)], ("then_branch", Branch(g, op, "then_branch", wanted)),
                ("else_branch", Branch(g, op, "else_branch", wanted)));
        for (int i = 0; i < wanted.Length; i++) found[i].Like(wanted[i]);
        return [null, .. op.Captured.Select(c => Array.IndexOf(wanted, c) is int i and >= 0 ? found[i].Value : null)];
    }

    private static OnnxGraph Branch(GraphBuilder g, Forward op, string name, Value[] wanted)
    {
        OnnxGraph branch = op.Node.Graph(name);
        var back = new BodyGradient(branch, g.Graph.Names, op.Rules);
        IReadOnlyDictionary<Value, Value> gradients = back.Differentiate(
            branch.Outputs.Select((o, i) => (Of: o, Seed: op.Dy(i))).Where(s => s.Seed is not null).Select(s => (s.Of, s.Seed!)), wanted);
        back.Builder.Scope = $"{name}_grad";
        foreach (Value value in wanted)
            back.AddOutput(gradients.TryGetValue(value, out Value? gradient) ? gradient : back.Builder.Filled(0, value));
        back.Finish();
        return back.Graph;
    }
}
