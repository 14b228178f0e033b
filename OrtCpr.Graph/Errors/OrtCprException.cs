namespace OrtCpr.Graph;

/// <summary>Base of every error that OrtCpr raises for something its user can mend: a file, an option, a tensor, a model.</summary>
/// <remarks>The message says what is wrong, where (node, tensor, file), what was expected, what was found and what to do.
/// Mistakes of OrtCpr itself are never of this type.</remarks>
public abstract class OrtCprException : Exception
{
    /// <summary>Creates the error.</summary>
    /// <param name="message">What, where, expected, found, what to do.</param>
    /// <param name="inner">The error beneath it, if any.</param>
    protected OrtCprException(string message, Exception? inner = null) : base(message, inner)
    {
    }
}
