namespace OrtCpr.Kernels;

/// <summary>A base rule with its scalars, as a function over a run of elements: what constrains a step is then written
/// once for every rule.</summary>
/// <param name="run">(scalars, tensors, start, length).</param>
/// <param name="coefficients">The scalars; owned by the caller, and valid while the rule runs.</param>
internal readonly unsafe struct BaseStep(delegate*<void*, in UpdateTensors, nint, nint, void> run, void* coefficients)
{
    private readonly delegate*<void*, in UpdateTensors, nint, nint, void> _run = run;
    private readonly void* _coefficients = coefficients;

    /// <summary>Steps the elements from <paramref name="start"/> to <paramref name="start"/> + <paramref name="length"/>.</summary>
    public void Run(in UpdateTensors tensors, nint start, nint length) => _run(_coefficients, tensors, start, length);
}
