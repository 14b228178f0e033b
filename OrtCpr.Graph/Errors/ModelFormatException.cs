using System.Diagnostics.CodeAnalysis;

namespace OrtCpr.Graph;

/// <summary>Bytes that are no ONNX model which OrtCpr can read: not ONNX, cut off, an unsupported version, tensors that don't
/// fit their shapes, external data that are missing or unsafe to open.</summary>
/// <remarks>The message names the model and lists all problems of the kind: what, where, expected, found, what to do.</remarks>
public sealed class ModelFormatException : OrtCprException
{
    /// <summary>A broken model of a thousand tensors should not print a thousand lines.</summary>
    private const int MaxListed = 20;

    internal ModelFormatException(string message, Exception? inner = null) : base(message, inner)
    {
    }

    /// <summary>Throws one error for all problems of one kind.</summary>
    /// <param name="model">Path of the model, or what stands for it.</param>
    /// <param name="what">The kind of problem, as a clause.</param>
    /// <param name="problems">Each: where, expected, found.</param>
    /// <param name="advice">What to do, as a sentence.</param>
    [DoesNotReturn]
    internal static void Throw(string model, string what, IReadOnlyCollection<string> problems, string advice)
    {
        string more = problems.Count > MaxListed ? $"{Environment.NewLine}  … and {problems.Count - MaxListed} more" : "";
        string list = string.Concat(problems.Take(MaxListed).Select(problem => $"{Environment.NewLine}  {problem}"));
        throw new ModelFormatException($"Model '{model}' {what}:{list}{more}{Environment.NewLine}{advice}");
    }
}
