namespace OrtCpr.Graph.Optimizers;

/// <summary>The row of the detector: samples, e1, e2, state. The state stands in the last column, so that the host reads nothing in a
/// step.</summary>
internal static class DetectorState
{
    /// <summary>Columns of a row.</summary>
    public const int Columns = 4;

    /// <summary>Column with the number of samples of R that were taken.</summary>
    public const int SamplesColumn = 0;

    /// <summary>Column with the state.</summary>
    public const int StateColumn = 3;

    /// <summary>κ has no value yet.</summary>
    public const int NotSet = 0;

    /// <summary>κ has its value.</summary>
    public const int Set = 1;

    /// <summary>κ has its value, and λ has been above 0 after a step.</summary>
    public const int EverActive = 2;
}
