namespace OrtCpr.Graph;

/// <summary>An input that the caller feeds with each batch.</summary>
/// <param name="Name">Graph input.</param>
/// <param name="Type">Element type.</param>
/// <param name="Dimensions">Shape as text per dimension: a number, a symbol (equal symbols mean equal sizes), or
/// <c>?</c>; null when the rank is unknown.</param>
/// <param name="IsLabel">True for inputs that the loss added.</param>
public sealed record BatchInput(string Name, ElementType Type, IReadOnlyList<string>? Dimensions, bool IsLabel)
{
    /// <inheritdoc/>
    public override string ToString() => $"'{Name}' {Type}[{(Dimensions is null ? "…" : string.Join(',', Dimensions))}]";
}
