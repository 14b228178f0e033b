namespace OrtCpr.Graph.Passes;

/// <summary>A running statistic between the training graph, which updates it, and the optimizer graph, which commits it with the
/// step.</summary>
/// <param name="Name">Its name in the model.</param>
/// <param name="Pending">Input of the training graph with the value that the step before left.</param>
/// <param name="Updated">Output of the training graph with the value after this one.</param>
/// <param name="Type">Element type.</param>
/// <param name="Dimensions">Shape.</param>
internal sealed record RunningStatistic(string Name, string Pending, string Updated, ElementType Type, IReadOnlyList<long> Dimensions);
