namespace OrtCpr.Graph.OrtTraining;

/// <summary>Training artifacts that cannot be turned into what stock ONNX Runtime runs: an operator without a counterpart, or graphs that
/// contradict the checkpoint. The message lists all of them.</summary>
internal sealed class LoweringException : OrtCprException
{
    internal LoweringException(string message) : base(message)
    {
    }
}
