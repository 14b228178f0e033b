namespace OrtCpr.Graph;

/// <summary>A checkpoint does not fit the trainer that it is loaded into; the message names each tensor, what was
/// expected and what was found. Nothing has changed when it is thrown.</summary>
public sealed class CheckpointException : OrtCprException
{
    internal CheckpointException(string message, Exception? inner = null) : base(message, inner)
    {
    }
}
