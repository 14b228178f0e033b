namespace OrtCpr.Cuda;

/// <summary>A tensor as a kernel sees it. Structs of operands have the layout of C# and of PTX alike: 64-bit fields first, no
/// booleans.</summary>
internal struct Operand
{
    /// <summary>Where it lies; 0 for an operand that the operator does not have.</summary>
    public long Address;

    /// <summary>Elements.</summary>
    public long Count;
}
