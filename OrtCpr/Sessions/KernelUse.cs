using OrtCpr.CustomOps;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Operators;

namespace OrtCpr.Sessions;

/// <summary>How the calls of one operator of ours run in a session: by a kernel, or by the body of standard operators and why.</summary>
/// <param name="Operator">Its name.</param>
/// <param name="Calls">How many nodes call it.</param>
/// <param name="BodyReason">Why no kernel takes its place; null where one does.</param>
internal sealed record KernelUse(string Operator, int Calls, string? BodyReason)
{
    /// <summary>The operators that a graph calls, with the kernels that a session may use for them.</summary>
    /// <param name="model">The graph.</param>
    /// <param name="operators">The definition of a name.</param>
    /// <param name="find">The kernel of a definition; null where it has none.</param>
    /// <param name="off">Why there are no kernels at all; null where there are.</param>
    /// <exception cref="InvalidOperationException">A node calls an operator of domain ortcpr that nobody defines.</exception>
    public static (IReadOnlyList<KernelUse> Uses, IReadOnlyList<OperatorKernel> Kernels) Of(OnnxModel model,
        Func<string, OperatorDefinition?> operators, Func<OperatorDefinition, OperatorKernel?> find, string? off)
    {
        var uses = new List<KernelUse>();
        var kernels = new List<OperatorKernel>();
        foreach (IGrouping<string, Node> calls in model.Graph.NodesAndInner().Where(n => n.Domain == OperatorDefinition.Domain)
            .GroupBy(n => n.OpType))
        {
            OperatorDefinition definition = operators(calls.Key)
                ?? throw new InvalidOperationException(
                    $"The graph '{model.Graph.Name}' calls '{OperatorDefinition.Domain}.{calls.Key}', which has no definition.");
            OperatorKernel? kernel = off is null ? find(definition) : null;
            // A registered kernel hides the body for every type, so only names whose every call is float32.
            ElementType[] others = [.. calls.Select(n => n.Inputs[0]!.Type).Where(t => t != ElementType.Float).Distinct()];
            string? reason = off
                ?? (kernel is null ? "it has no kernel" : others.Length > 0
                    ? $"kernels are for Float, and it is called for {string.Join(", ", others)}" : null);
            uses.Add(new KernelUse(calls.Key, calls.Count(), reason));
            if (reason is null) kernels.Add(kernel!);
        }
        return (uses, kernels);
    }
}
