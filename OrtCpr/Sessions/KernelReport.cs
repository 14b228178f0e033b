using OrtCpr.Graph.Operators;

namespace OrtCpr.Sessions;

/// <summary>How an operator of ours runs in one graph of a driver.</summary>
/// <param name="Graph">The graph, as in messages: <c>training</c>, <c>optimizer</c> …</param>
/// <param name="Operator">Its name.</param>
/// <param name="Calls">How many nodes call it.</param>
/// <param name="BodyReason">Why it runs as its body of standard operators; null where a kernel takes its place.</param>
internal sealed record KernelReport(string Graph, string Operator, int Calls, string? BodyReason)
{
    /// <summary>A line for people.</summary>
    public override string ToString() => $"{OperatorDefinition.Domain}.{Operator} in the {Graph} graph, "
        + $"{Calls} {(Calls == 1 ? "call" : "calls")}, runs {(BodyReason is null ? "as a kernel" : $"as its body: {BodyReason}")}";
}
