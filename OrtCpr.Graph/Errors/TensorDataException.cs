namespace OrtCpr.Graph;

/// <summary>A tensor value that can't exist or can't be read the way it was asked for: bytes that don't fit the shape,
/// a negative dimension, more than 2 GiB − 1 bytes, another element type than asked for.</summary>
public sealed class TensorDataException : OrtCprException
{
    internal TensorDataException(string message) : base(message)
    {
    }
}
