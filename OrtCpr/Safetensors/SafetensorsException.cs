using OrtCpr.Graph;

namespace OrtCpr.Checkpoints;

/// <summary>A safetensors file that breaks its format, or a tensor that the format can't hold. The message names file and tensor.</summary>
public sealed class SafetensorsException : OrtCprException
{
    internal SafetensorsException(string message, Exception? inner = null) : base(message, inner)
    {
    }
}
