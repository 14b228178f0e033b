using OrtCpr.Graph;

namespace OrtCpr;

/// <summary>The ranks of a job cannot work together: a library is missing or reports an error, or they train different things.</summary>
public sealed class CollectiveException : OrtCprException
{
    /// <summary>Creates the error.</summary>
    public CollectiveException(string message, Exception? inner = null) : base(message, inner)
    {
    }
}
