using OrtCpr.Graph;

namespace OrtCpr;

/// <summary>Something that a driver was given does not fit: a batch, a name, a device. Nothing has changed when it is thrown.</summary>
public sealed class DriverException : OrtCprException
{
    internal DriverException(string message, Exception? inner = null) : base(message, inner)
    {
    }
}
