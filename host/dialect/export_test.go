package dialect

// For tests outside of the package.
var ResponseCodes = responseCodes

// Class of a response code.
func (c responseCode) Class() byte { return c.class }
