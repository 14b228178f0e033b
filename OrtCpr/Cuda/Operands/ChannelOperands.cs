namespace OrtCpr.Cuda;

/// <summary>What the kernels of batch normalisation work on: x [Examples, Channels, Inner].</summary>
internal struct ChannelOperands
{
    /// <summary>Of x's shape. Skip and Y may be missing in the gradient.</summary>
    public Operand X, Skip, Y, Dy, Result;

    /// <summary>A channel each.</summary>
    public Operand Gain, Bias, Mean, Variance, Inverse, GainGradient, BiasGradient;

    /// <summary>Room for two measures (of 3 doubles) a part of a channel.</summary>
    public long Partials;

    /// <summary>Sizes, and elements of a part.</summary>
    public long Examples, Channels, Inner, ElementsOfPart;

    /// <summary>Parts that a channel's elements are cut into; 1 for Relu behind the sum.</summary>
    public int Parts, Relu;

    /// <summary>ε.</summary>
    public float Epsilon;

    /// <summary>Fills the struct up to whole 64 bits, whose alignment it has.</summary>
    public float Unused;
}
