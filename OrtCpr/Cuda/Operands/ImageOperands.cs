namespace OrtCpr.Cuda;

/// <summary>Images [planes, height, width] that are padded or cut.</summary>
internal struct ImageOperands
{
    /// <summary>The images, and the new ones, of as many planes.</summary>
    public Operand From, To;

    /// <summary>Sizes of either.</summary>
    public long Height, Width, NewHeight, NewWidth;

    /// <summary>What is added to a place in the new images for that in the old ones; outside of those there are zeros.</summary>
    public long Top, Left;
}
