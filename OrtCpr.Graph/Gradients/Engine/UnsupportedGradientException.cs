namespace OrtCpr.Graph;

/// <summary>The model cannot be differentiated as it is: operators without a gradient rule on the way from parameters to the loss, or a use
/// of an operator that its rule refuses. The message lists all of them with the ways out.</summary>
public sealed class UnsupportedGradientException : OrtCprException
{
    internal UnsupportedGradientException(string message) : base(message)
    {
    }
}
