namespace OrtCpr.Kernels;

/// <summary>How the operands of a product lie in memory.</summary>
internal enum ProductForm
{
    /// <summary>y[m, n] = Σ a[m, k]·b[k, n].</summary>
    Plain,

    /// <summary>y[m, n] = Σ a[m, k]·b[n, k].</summary>
    SecondTransposed,

    /// <summary>y[m, n] = Σ a[k, m]·b[k, n].</summary>
    FirstTransposed,
}

/// <summary>Products of matrices whose rows lie one after the other, as do matrices. The caller brings it as a
/// function pointer, in the form that the kernel asks for, so that a kernel knows no library of matrix products.</summary>
internal readonly unsafe struct MatrixProduct(delegate*<void*, float*, float*, float*, nint, nint, nint, nint, void> run, void* context)
{
    private readonly delegate*<void*, float*, float*, float*, nint, nint, nint, nint, void> _run = run;
    private readonly void* _context = context;

    /// <summary>Writes <paramref name="count"/> times m × n numbers to <paramref name="y"/>, which overlaps neither operand.</summary>
    public void Run(float* a, float* b, float* y, nint m, nint n, nint k, nint count = 1) => _run(_context, a, b, y, m, n, k, count);
}
