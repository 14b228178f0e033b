using OrtCpr.Graph;

namespace Cifar100;

// A mistake of the user.
internal sealed class SampleException(string message) : OrtCprException(message);
