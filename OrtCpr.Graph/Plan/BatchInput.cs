namespace OrtCpr.Graph;

/// <summary>An input that the caller feeds with each batch.</summary>
public sealed record BatchInput
{
    /// <summary>Name under which a batch holds it: an input of the model, or one that the loss added.</summary>
    public required string Name { get; init; }

    /// <summary>Element type that the batch must have; <see cref="ElementType.Undefined"/> for what is no dense tensor.</summary>
    public required ElementType Type { get; init; }

    /// <summary>Shape as text per dimension: a number, a symbol (equal symbols mean equal sizes), or <c>?</c>; null when
    /// the rank is unknown.</summary>
    public IReadOnlyList<string>? Dimensions { get; init; }

    /// <summary>True for inputs that the loss added.</summary>
    public bool IsLabel { get; init; }

    /// <inheritdoc/>
    public override string ToString() => $"'{Name}' {Type}[{(Dimensions is null ? "…" : string.Join(',', Dimensions))}]";
}
