using OrtCpr.Graph;

namespace OrtCpr.Data;

/// <summary>A data file that breaks its format, is cut off, or does not fit the model. The message names file, place,
/// what was expected and what was found.</summary>
public sealed class DataFileException : OrtCprException
{
    internal DataFileException(string message, Exception? inner = null) : base(message, inner)
    {
    }
}
