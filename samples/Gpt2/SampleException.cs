using OrtCpr.Graph;

namespace Gpt2;

// A mistake of the user.
internal sealed class SampleException(string message) : OrtCprException(message);
