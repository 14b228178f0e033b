using OrtCpr.Graph;

namespace OrtCpr;

/// <summary>No step of a fit counted: each was skipped, since the loss or a gradient was not finite.</summary>
public sealed class NotFiniteException : OrtCprException
{
    internal NotFiniteException(string message, string? node, IReadOnlyList<string> parameters) : base(message) =>
        (Node, Parameters) = (node, parameters);

    /// <summary>Name of the first node of the training graph whose output is not finite, or of the input that holds such
    /// numbers; null where they come up only when gradients are added up.</summary>
    public string? Node { get; }

    /// <summary>Names of the parameters whose gradients are not finite.</summary>
    public IReadOnlyList<string> Parameters { get; }
}
