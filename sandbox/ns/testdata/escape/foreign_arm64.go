package main

func foreign(func(string, func() error)) {}
