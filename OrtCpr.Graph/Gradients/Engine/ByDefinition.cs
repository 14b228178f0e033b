using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>Rules for composite operators: the operator's definition in operators that have rules. The forward operator
/// stays as it is; the definition is computed again for the gradient and differentiated.</summary>
internal static class ByDefinition
{
    /// <summary>One output for each of the operator's that may take part, written in terms of its inputs
    /// alone.</summary>
    public delegate Value[] Definition(GraphBuilder g, Forward op);

    /// <summary>inputs: how many of the first inputs have a gradient; those after them are constants.</summary>
    public static GradientRule Rule(Func<GraphBuilder, Forward, Term> definition, int inputs = int.MaxValue) =>
        Rule((g, op) => [definition(g, op)], inputs);

    public static GradientRule Rule(Func<GraphBuilder, Forward, Value> definition, int inputs = int.MaxValue) =>
        Rule((g, op) => [definition(g, op)], inputs);

    public static GradientRule Rule(Definition definition, int inputs = int.MaxValue) => (g, op, dy) =>
    {
        int first = g.Emitted.Count;
        Value[] outputs = definition(g, op);
        List<Node> nodes = g.Emitted[first..];
        var seeds = new Dictionary<Value, Value>();
        for (int i = 0; i < outputs.Length; i++)
        {
            if ((i == 0 ? dy : op.Dy(i)) is Value seed) seeds[outputs[i]] = seed;
        }
        var sources = op.Node.Inputs.Take(inputs).OfType<Value>().Where(v => v.Type.IsFloating()).ToHashSet();
        string scope = g.Scope;
        IReadOnlyDictionary<Value, Value> gradients = new BackwardPass(nodes, g, GradientRules.Default).Run(seeds, sources);
        g.Scope = scope;
        // A value that is given twice gets its whole gradient once.
        return [.. op.Node.Inputs.Select(v => v is not null && sources.Remove(v) ? gradients.GetValueOrDefault(v) : null)];
    };
}
