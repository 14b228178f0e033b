namespace OrtCpr.Graph;

/// <summary>One loss of a sum, or the only one, as evaluations and logs know it.</summary>
/// <param name="Name">Its kind, with a word more where there are several of one: <c>mse</c>, <c>mse.boxes</c>.</param>
/// <param name="Factor">What it is multiplied by.</param>
/// <param name="IsSum">Whether it divides by nothing, so that its value over several batches is the sum of theirs.</param>
/// <param name="Output">The tensor that it takes; null for a loss that takes none.</param>
/// <param name="Labels">Batch inputs that it compares with.</param>
internal sealed record LossTerm(string Name, double Factor, bool IsSum, string? Output, IReadOnlyList<string> Labels)
{
    /// <summary>For labels that are classes: the axis of the classes in the output.</summary>
    public int? ClassAxis { get; init; }

    /// <summary>For labels that are classes: how many there are; null where only the batch tells.</summary>
    public long? Classes { get; init; }

    /// <summary>Whether the label is a probability for each class, of the output's shape.</summary>
    public bool TakesProbabilities { get; init; }

    /// <summary>For labels of yes or no: the score from which yes is the likelier answer, 0 of logits and 0.5 of probabilities.</summary>
    public double? YesFrom { get; init; }

    /// <summary>For labels that are classes: the one that does not count.</summary>
    public long? IgnoredLabel { get; init; }
}
