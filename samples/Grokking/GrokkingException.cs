using OrtCpr.Graph;

namespace Grokking;

// A mistake of the user that only this sample knows.
internal sealed class GrokkingException(string message) : OrtCprException(message);
