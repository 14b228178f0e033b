namespace OrtCpr.OrtTraining;

/// <summary>The helpers of ONNX Runtime's training API.</summary>
public class TrainingUtils
{
    /// <summary>Does nothing on stock ONNX Runtime, whose random operators take their seed from the model. Set the
    /// <c>seed</c> attributes there.</summary>
    /// <param name="seed">Not used.</param>
    public static void SetSeed(long seed) => _ = seed;
}
