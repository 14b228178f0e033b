namespace OrtCpr.Graph;

/// <summary>One or more options have values that make no sense; the message lists all of them with the valid ranges.</summary>
public sealed class OptionException : OrtCprException
{
    internal OptionException(string message) : base(message)
    {
    }

    /// <summary>Throws when there are problems.</summary>
    internal static void ThrowIfAny(string what, IReadOnlyCollection<string> problems)
    {
        if (problems.Count > 0) throw new OptionException($"{what}: {string.Join("; ", problems)}.");
    }
}
